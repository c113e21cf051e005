// How few blocks are enough, and what each costs elsewhere: of a finished run's open blocks all are closed, then all
// but the one of the highest score, and so on, and every set is measured each time on the same part of its images. The target is asked on
// its validation images, so that a point can be picked without looking at those it is measured on in the end.
import { kneeOf } from "../evaluation/knee.ts";
import { robustnessOf } from "../evaluation/robustness.ts";
import type { Job } from "./job.ts";
import { answer, basisOf, type Question, questionOf } from "./judges.ts";
import type { Basis, SetRobustness, TradeOff, TradeOffPoint } from "./protocol.ts";
import { keepEntries, layerWords, measurePath, type Run } from "./run.ts";
import { type LoadedSet, ofSplit, thin } from "./sets.ts";

/** Most images that are measured of a set at each point, and that vote for k-NN. */
const LIMITS = { measured: 256, bank: 256 };
/** Memory, in bytes, for what enters some layers, so that a point is measured from the block upwards that it opens. */
const ENTRIES = 128 * 2 ** 20;
/** Up to here every number of open blocks is a point; beyond, points are spread evenly, at most as many again. */
const EVERY = 16;

/**
 * Open gates in the order in which they close: the lowest score first. Where no score is lower than another (LoRA on
 * all), the smallest change of weights goes first.
 */
export function closingOrder({
  scores,
  open,
  deltaNorm,
}: {
  scores: Float32Array;
  open: Uint8Array;
  deltaNorm: Float32Array;
}): number[] {
  const gates = [...open.keys()].filter((gate) => open[gate] === 1);
  const by = (values: Float32Array) => (a: number, b: number) =>
    (values[a] as number) - (values[b] as number);
  return gates.sort((a, b) => by(scores)(a, b) || by(deltaNorm)(a, b) || b - a);
}

/** Numbers of open blocks that are measured, of `open` at most: rising, 0 and all among them. */
export function tradeOffCounts(open: number): number[] {
  if (open <= 2 * EVERY) return Array.from({ length: open + 1 }, (_, count) => count);
  const beyond = Array.from({ length: EVERY }, (_, i) =>
    Math.round(EVERY + ((i + 1) * (open - EVERY)) / EVERY),
  );
  return [...Array.from({ length: EVERY + 1 }, (_, count) => count), ...beyond];
}

/** Measures the curve, no block first; each point is told of as it is found. What is applied stays as it is. */
export async function tradeOff(run: Run, job: Job): Promise<TradeOff> {
  const { network, sets, trainer, result } = run;
  const { layers } = network.weights.architecture;
  const questions = sets.map((set) => partOf(run, set));
  const target = questions.findIndex(({ set }) => set.role === "target");
  const entries = keepEntries(network, questions, ENTRIES);
  const bases = questions.map((question) => basisOf(network, question));
  const order = closingOrder(result.final);
  const counts = tradeOffCounts(order.length);
  const each = questions.reduce((sum, { chosen }) => sum + chosen.indices.length, 0);
  const tick = job.progress("evaluate", "Opening blocks one by one");
  let done = 0;
  const measure = async (open: Uint8Array, strength: number): Promise<number[]> => {
    const standing = layerWords(trainer, layers, { open, strength });
    const head = await trainer.head(strength);
    const effective = trainer.adaptation.effective({ open, strength });
    const accuracies: number[] = [];
    try {
      for (const question of questions) {
        const kept = entries.get(question.set.id);
        const offset = done;
        const { accuracy } = await answer(
          network,
          question,
          { effective, head, banks: new Map() },
          (n) => tick(offset + n, each * (counts.length + 1)),
          kept && { entries: kept, standing },
        );
        accuracies.push(accuracy);
        done += question.chosen.indices.length;
      }
    } finally {
      effective.dispose();
    }
    return accuracies;
  };
  const before = await measure(new Uint8Array(result.final.open.length), 0);
  const points: TradeOffPoint[] = [];
  const soFar = (): TradeOff => {
    const complete = points.length === counts.length;
    const curve = points.map(({ accuracies }, i) => ({
      open: counts[i] as number,
      accuracy: accuracies[target] as number,
    }));
    return {
      sets: questions.map(({ set: { id, role, name }, chosen }, i) => ({
        id,
        role,
        name,
        count: chosen.indices.length,
        basis: bases[i] as Basis,
        before: before[i] as number,
      })),
      points: [...points],
      knee: complete ? kneeOf(curve, questions[target]?.chosen.indices.length ?? 0) : null,
      complete,
    };
  };
  for (const count of counts) {
    const open = new Uint8Array(result.final.open.length);
    for (const gate of order.slice(order.length - count)) open[gate] = 1;
    points.push({ open, accuracies: await measure(open, 1) });
    job.emit({ kind: "tradeOff", tradeOff: soFar() });
  }
  return soFar();
}

/** What is asked of a set at each point: the target's validation images, a part of every other set. */
function partOf({ network }: Run, set: LoadedSet): Question {
  const question = questionOf(network, set, LIMITS);
  if (set.role !== "target") return question;
  const validation = thin(ofSplit(set, "val"), LIMITS.measured);
  return validation.indices.length > 0 ? { ...question, chosen: validation } : question;
}

/** Shares of what is applied at which the reference models for beta are measured, beside the model before. */
const REFERENCES = [0.25, 0.5, 0.75];

/** Effective and relative robustness of what is applied, on every OOD set, measured on all held-out images. */
export async function robustness(run: Run, job: Job): Promise<SetRobustness[]> {
  const { strength } = run.applied;
  const shares = [...REFERENCES, 1].map((share) => share * strength);
  const asked = run.sets.filter(({ role }) => role !== "retention");
  const path = await measurePath({ ...run, sets: asked }, [0, ...shares], Infinity, job);
  const accuracy = (at: number, role: "target" | "ood", name: string | null) =>
    path[at]?.sets.find((set) => set.role === role && (name === null || set.name === name))?.accuracy ?? 0;
  const { sets } = run.result.before;
  const target = sets.find(({ role }) => role === "target");
  return sets
    .filter(({ role }) => role === "ood")
    .map(({ id, name, count }) => {
      const points = path.map((_, at) => ({
        id: accuracy(at, "target", null),
        ood: accuracy(at, "ood", name),
      }));
      const [before, now] = [points[0], points.at(-1)] as [(typeof points)[number], (typeof points)[number]];
      const references = strength > 0 ? points.slice(0, -1) : [];
      return {
        id,
        name,
        points,
        ...robustnessOf(before, now, references, { id: target?.count ?? 0, ood: count }),
      };
    });
}
