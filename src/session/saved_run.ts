// A run that was saved: what of it is believed when it comes back, and how it is put to the model and data that are
// loaded now. Where they are not the ones it was made on it is refused; a run on other images would be another run.
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { Evaluation, RunResult, SavedRun, SetAccuracy } from "./protocol.ts";
import { heads, recipeSchema } from "./recipe.ts";
import type { KeptSet, LoadedSet } from "./sets.ts";

const role = z.enum(["target", "ood", "retention"]);
const count = z.int().min(0);
const share = z.number().min(0).max(1);
const answers = z.instanceof(Int32Array);
const flags = z.instanceof(Uint8Array);
const values = z.instanceof(Float32Array);
export const pairsSchema = z.object({ fixed: count, broken: count });
export const basisSchema = z.object({ images: z.enum(["all", "sample", "validation"]), count, of: count });

// Loose: what evaluation adds to a set's numbers comes back with them.
const measuredSchema = z.looseObject({
  id: z.string(),
  role,
  name: z.string(),
  basis: basisSchema.optional(),
  judge: z.enum(heads),
  count,
  correct: count,
  accuracy: share,
  interval: z.tuple([share, share]),
  perClass: z.array(z.looseObject({ name: z.string(), count, correct: count })),
  balanced: share,
  calibration: z.object({
    ece: share,
    bins: z.array(z.object({ count, confidence: share, accuracy: share })),
  }),
  parts: z.array(
    z.object({ name: z.string(), count, correct: count, accuracy: share, interval: z.tuple([share, share]) }),
  ),
  change: z
    .object({ stayedRight: count, fixed: count, broken: count, stayedWrong: count, p: share })
    .nullable(),
  detection: z
    .object({ strange: z.enum(["classes", "style"]), count, confidence: share, energy: share.nullable() })
    .nullable(),
  predictions: answers,
  confidence: values,
  energy: values.nullable(),
  labels: answers,
  names: z.array(z.string()),
});
/** Before it was said what was measured it was all held-out images. */
const setAccuracySchema = measuredSchema.transform((set) => ({
  ...set,
  basis: set.basis ?? { images: "all", count: set.count, of: set.count },
}));
export const evaluationSchema = z.looseObject({
  sets: z.array(setAccuracySchema),
  open: flags,
  strength: share,
});
export const gateSchema = z.looseObject({
  id: count,
  layer: count,
  column: z.enum(["attention", "mlp", "layer", "q", "k", "v", "o", "fc1", "fc2"]),
  matrices: z.array(z.enum(["q", "k", "v", "o", "fc1", "fc2"])),
  parameters: count,
});
export const frameSchema = z.looseObject({
  step: count,
  scores: values,
  open: flags,
  sensitivity: values,
  deltaNorm: values,
});
const resultSchema = z.looseObject({
  recipe: recipeSchema,
  gates: z.array(gateSchema),
  final: frameSchema,
  before: evaluationSchema,
  after: evaluationSchema,
  complete: z.boolean(),
  steps: count,
  seconds: z.number().min(0),
});
const fingerprint = z.string().max(64).nullable();

/** A Blob, kept as its bytes where a browser keeps no Blobs. */
export const blobSchema = z.preprocess(
  (value) => (value instanceof Uint8Array ? new Blob([value as Uint8Array<ArrayBuffer>]) : value),
  z.instanceof(Blob),
);

/** A saved run, as far as its shape goes; the snapshot in it is checked when it is read (training/snapshot_file.ts). */
export const savedRunSchema = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(100),
  recipe: recipeSchema,
  model: fingerprint,
  sets: z.array(z.object({ role: z.enum([...role.options, "keep"]), name: z.string(), fingerprint })),
  step: count,
  steps: count,
  seconds: z.number().min(0),
  before: evaluationSchema.nullable(),
  sample: evaluationSchema.nullable().default(null),
  validation: share.nullable(),
  result: resultSchema.nullable(),
  snapshot: blobSchema,
});

const sameAs = (one: { role: string; name: string }) => (other: { role: string; name: string }) =>
  one.role === other.role && (one.role === "target" || one.name === other.name);

/**
 * A saved run over the sets that are loaded now, its evaluations speaking of their ids.
 * @param counts images of each loaded set that are measured now, in the order of `sets`
 * @param kept sets without classes that are loaded now
 * @throws Failure "state" when it was made on another model or other data, "bad-file" when it is no saved run
 */
export function rejoin(
  saved: SavedRun,
  model: string | null,
  sets: readonly LoadedSet[],
  counts: readonly number[],
  kept: readonly KeptSet[] = [],
): SavedRun {
  const parsed = savedRunSchema.safeParse(saved);
  if (!parsed.success) {
    throw new Failure({
      code: "bad-file",
      what: "What was saved of the run cannot be read.",
      where: parsed.error.issues[0]?.path.join("."),
      remedy: "Start the run anew.",
    });
  }
  const run = parsed.data as SavedRun;
  const other = (where: string) =>
    new Failure({
      code: "state",
      what: `The run was made on another ${where}.`,
      where,
      remedy: "Load what it was made on, or start a run anew.",
    });
  if (run.model !== model) throw other("model");
  if (run.sets.length !== sets.length + kept.length) throw other("choice of image sets");
  for (const set of [...sets, ...kept]) {
    const then = run.sets.find(sameAs(set));
    if (!then || then.fingerprint !== set.fingerprint) throw other(`set of ${set.role} images`);
  }
  const now = (accuracy: SetAccuracy): SetAccuracy => {
    const at = sets.findIndex(sameAs(accuracy));
    const counted = accuracy.basis.images !== "all" || counts[at] === accuracy.count;
    if (at < 0 || !counted) throw other(`set of ${accuracy.role} images`);
    return { ...accuracy, id: (sets[at] as LoadedSet).id };
  };
  const evaluation = (one: Evaluation): Evaluation => ({ ...one, sets: one.sets.map(now) });
  const result = (one: RunResult): RunResult => ({
    ...one,
    before: evaluation(one.before),
    after: evaluation(one.after),
  });
  return {
    ...run,
    before: run.before && evaluation(run.before),
    sample: run.sample && evaluation(run.sample),
    result: run.result && result(run.result),
  };
}
