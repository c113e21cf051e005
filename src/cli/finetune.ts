// One run, a run over seeds, and the standard line-up, into folders: the merged model and the records of each.
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import {
  type Entry,
  type Outcome,
  outcomeOf,
  overSeeds,
  recipeName,
  type Spread,
  type Summary,
  standardLineUp,
  summarise,
} from "../session/line_up.ts";
import { settingsOf } from "../session/model_settings.ts";
import { createNodeSession, walk } from "../session/node.ts";
import type {
  AccuracyPoint,
  DataReport,
  DeviceReport,
  Evaluation,
  ModelReport,
  PathPoint,
  RunResult,
  Session,
  SetPart,
  SetRobustness,
  StepReport,
  TradeOff,
} from "../session/protocol.ts";
import { applies, type Recipe } from "../session/recipe.ts";
import { reportOf } from "../session/report.ts";
import { modelFiles } from "./model_files.ts";
import {
  backendFrom,
  badArgument,
  corruptionsFrom,
  dataAnswersFrom,
  idleOptions,
  makeFolder,
  modelAnswersFrom,
  named,
  recipeFrom,
  required,
  seedsFrom,
  type Values,
} from "./options.ts";
import { remark, reporter } from "./reporter.ts";
import { judgeWords, percent, signed, table } from "./table.ts";

function metrics(evaluation: Evaluation) {
  return evaluation.sets.map((s) => ({
    role: s.role,
    name: s.name,
    count: s.count,
    correct: s.correct,
    accuracy: s.accuracy,
    judge: s.judge,
    interval: s.interval,
    balanced: s.balanced,
    perClass: s.perClass,
    ...(s.parts.length > 0 && { parts: s.parts }),
    calibration: s.calibration,
    change: s.change,
    detection: s.detection,
  }));
}

/** A session with model and data loaded, and what the records say of them. */
interface Loaded {
  session: Session;
  recipe: Recipe;
  out: string;
  seeds: number;
  tradeOff: boolean;
  json: boolean;
  device: DeviceReport;
  model: ModelReport;
  data: DataReport[];
  /** What the run under way, or the last one, has told. */
  told: { steps: StepReport[]; points: AccuracyPoint[] };
  /** Whether Ctrl-C was pressed. */
  stopped: () => boolean;
}

async function load(values: Values): Promise<Loaded> {
  const recipe = recipeFrom(values);
  const seeds = seedsFrom(values);
  const out = resolve(required(values, "out"));
  const target = required(values, "target");
  const model = required(values, "model");
  const extra = (["ood", "retention"] as const).flatMap((role) =>
    ((values[role] as string[] | undefined) ?? []).map((entry) => [role, ...named(entry, role)] as const),
  );
  const kept = (values["keep-data"] as string[] | undefined) ?? [];
  if (kept.length > 0 && (recipe.keep === 0 || !applies("keep", recipe)))
    throw badArgument(
      recipe.keep === 0
        ? "--keep-data needs --keep with a weight above 0."
        : `--keep-data does nothing with --method ${recipe.method}.`,
    );
  const twice = extra.find(([role, name], i) => extra.findIndex(([r, n]) => r === role && n === name) < i);
  if (twice) throw badArgument(`--${twice[0]} ${twice[1]} is given twice; every set needs its own name.`);
  const corruptions = corruptionsFrom(values);
  const backend = backendFrom(values);
  const answers = modelAnswersFrom(values);
  const json = values.json === true;
  const session = createNodeSession();
  const tell = reporter(json);
  session.subscribe(tell);
  const told: Loaded["told"] = { steps: [], points: [] };
  session.subscribe((event) => {
    if (event.kind === "before") Object.assign(told, { steps: [], points: [] });
    else if (event.kind === "step") told.steps.push(event.report);
    else if (event.kind === "accuracy") told.points.push(event.point);
  });
  // The first Ctrl-C ends the run after its step and keeps what was learned: its merging and writing go on. The second
  // one ends the program.
  let stopped = false;
  let exporting = false;
  session.subscribe((event) => {
    if (event.kind === "status") exporting = event.status === "exporting";
  });
  process.once("SIGINT", () => {
    stopped = true;
    if (!exporting) void session.stop();
  });

  for (const option of idleOptions(values, recipe))
    remark(`${option} does nothing with --method ${recipe.method} and the other options as they are.`, json);
  const device = await session.open(backend);
  remark([`Computing on ${device.adapter}.`, device.reason].filter(Boolean).join(" "), json);
  const loaded = await session.loadModel(await modelFiles(model, tell), answers);
  for (const note of loaded.notes) remark(note, json);
  for (const { question, usual } of loaded.questions)
    remark(`${question} Using the usual value: ${usual}.`, json);
  const said = dataAnswersFrom(values);
  const reports = [await session.loadData("target", "target", await walk(target), recipe.seed, said)];
  for (const [role, name, path] of extra)
    reports.push(await session.loadData(role, name, await walk(path), recipe.seed, said));
  if (corruptions) await session.corrupt(corruptions);
  for (const [i, path] of kept.entries())
    reports.push(await session.loadData("keep", `keep ${i + 1}`, await walk(path), recipe.seed, said));
  for (const { name, issues } of reports)
    for (const issue of issues) if (issue.severity !== "note") remark(`${name}: ${issue.text}`, json);

  const tradeOff = values["trade-off"] === true;
  return {
    ...{ session, recipe, out, seeds, tradeOff, json, device, told },
    model: loaded,
    data: reports,
    stopped: () => stopped,
  };
}

/** Writes what a run was and came to into its folder; gives what is told of it. */
async function writeRecords<More>(
  { device, model, data, told }: Loaded,
  result: RunResult,
  out: string,
  {
    path = [],
    tradeOff = null,
    notes,
    ...more
  }: More & { path?: PathPoint[]; tradeOff?: TradeOff | null; notes: readonly string[] },
) {
  const write = (name: string, value: unknown) =>
    writeFile(join(out, name), `${JSON.stringify(value, null, 2)}\n`);
  await write("recipe.json", {
    selora: 1,
    recipe: result.recipe,
    device,
    model: model.name,
    modelSettings: settingsOf(model),
  });
  await write(
    "gates.json",
    result.gates.map((gate, i) => ({
      ...gate,
      open: result.final.open[i] === 1,
      score: result.final.scores[i],
      sensitivity: result.final.sensitivity[i],
      deltaNorm: result.final.deltaNorm[i],
    })),
  );
  const summary = {
    before: metrics(result.before),
    after: metrics(result.after),
    open: outcomeOf(result).open,
    gates: result.gates.length,
    complete: result.complete,
    ...(result.failure ? { failure: result.failure } : {}),
    steps: result.steps,
    seconds: result.seconds,
    device,
    ...(path.length > 0 ? { path } : {}),
    ...more,
  };
  await write("metrics.json", summary);
  const about = {
    name: recipeName(result.recipe),
    when: Date.now(),
    result,
    model,
    device,
    data,
    path,
    tradeOff,
    notes,
  };
  const report = reportOf({ ...about, ...told });
  await writeFile(join(out, "report.html"), report.html);
  await writeFile(join(out, "report.json"), report.json);
  return summary;
}

/** Trains, and writes the merged model and the records into `out`. */
async function runInto(loaded: Loaded, recipe: Recipe, out: string) {
  const { session } = loaded;
  await makeFolder(out);
  const result = await session.train(recipe);
  const exported = await session.exportMerged();
  for (const file of exported.files)
    await writeFile(join(out, file.path), file.blob.stream() as unknown as AsyncIterable<Uint8Array>);
  const { accuracy } = exported.check;
  const records = {
    exported: { accuracy, changed: exported.changed, total: exported.total },
    notes: exported.notes,
  };
  const summary = await writeRecords(loaded, result, out, records);
  if (loaded.tradeOff) {
    const tradeOff = await session.tradeOff();
    await writeTradeOff(tradeOff, await session.robustness(), join(out, "tradeoff.json"));
    if (!loaded.json) process.stdout.write(tradeOffTable(tradeOff));
    // Once more with the curve in the report; a curve that fails has then lost nothing.
    await writeRecords(loaded, result, out, { ...records, tradeOff });
  }
  if (result.failure) throw new Failure(result.failure);
  return { result, summary };
}

const countOf = (open: Uint8Array) => open.reduce((sum, flag) => sum + flag, 0);

async function writeTradeOff({ sets, points, knee }: TradeOff, robustness: SetRobustness[], path: string) {
  const value = {
    sets: sets.map(({ role, name, count, before }) => ({ role, name, count, before })),
    points: points.map(({ open, accuracies }) => ({
      open: countOf(open),
      gates: [...open.keys()].filter((gate) => open[gate] === 1),
      accuracies,
    })),
    knee,
    robustness: robustness.map(({ id: _, ...set }) => set),
  };
  await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

function tradeOffTable({ sets, points, knee }: TradeOff): string {
  const rows = points.map(({ open, accuracies }, i) => [
    String(countOf(open)) + (i === knee ? ", knee" : ""),
    ...accuracies.map(percent),
  ]);
  const before = ["before", ...sets.map((set) => percent(set.before))];
  return `${table(["open", ...sets.map(({ name, count }) => `${name} (${count} images)`)], [before, ...rows])}\n`;
}

type Measured = Pick<SetPart, "accuracy" | "count" | "interval">;

/** One run, or one a seed. */
export async function finetune(values: Values): Promise<void> {
  const loaded = await load(values);
  const { out, recipe, seeds, json } = loaded;
  await makeFolder(out);
  if (seeds > 1) {
    const entries = overSeeds([{ name: "run", recipe }], seeds);
    return series(loaded, entries, ({ recipe: { seed } }) => `seed-${seed}`, runInto);
  }
  const { summary } = await runInto(loaded, recipe, out);
  if (json) process.stdout.write(`${JSON.stringify({ kind: "done", ...summary })}\n`);
  else {
    const { before, after, open, gates, exported } = summary;
    process.stdout.write(
      table(
        ["set", "images", "judged by", "before", "after", "change", "95 % interval"],
        after.flatMap((set, i) => {
          const row = (now: Measured, was: Measured | undefined, name: string) => [
            name,
            String(now.count),
            judgeWords[set.judge],
            percent(was?.accuracy ?? 0),
            percent(now.accuracy),
            signed(now.accuracy - (was?.accuracy ?? 0)),
            `${percent(now.interval[0])} to ${percent(now.interval[1])}`,
          ];
          const parts = set.parts ?? [];
          return [
            row(set, before[i], parts.length > 0 ? `${set.name}, mean` : set.name),
            ...parts.map((part, p) => row(part, before[i]?.parts?.[p], `  ${part.name}`)),
          ];
        }),
      ),
    );
    process.stdout.write(
      `${open} of ${gates} blocks open. Merged model in ${out}, read back: target ${percent(exported.accuracy)}.\n`,
    );
  }
}

/** Shares of the change at which a run of the line-up is measured too (WiSE-FT), and most images a set for that. */
const path = { strengths: [0, 0.25, 0.5, 0.75, 1], limit: 256 };

/** The standard line-up, over seeds: the records of each run, without merged weights. */
export async function suite(values: Values): Promise<void> {
  const loaded = await load(values);
  await makeFolder(loaded.out);
  const entries = overSeeds(standardLineUp(loaded.recipe), loaded.seeds);
  const folder = ({ name, recipe }: Entry) =>
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/-$/, "") + (loaded.seeds > 1 ? `-seed-${recipe.seed}` : "");
  return series(loaded, entries, folder, async (_, recipe, out) => {
    await makeFolder(out);
    const result = await loaded.session.train(recipe);
    const measured: PathPoint[] = result.complete
      ? await loaded.session.measurePath(path.strengths, path.limit)
      : [];
    const summary = await writeRecords(loaded, result, out, { path: measured, notes: [] });
    if (result.failure) throw new Failure(result.failure);
    return { result, summary };
  });
}

/**
 * Runs entries one after the other, each into a folder of its own, and writes what they came to. One that fails is
 * told of and does not stop the others; it fails the whole at the end.
 */
async function series(
  loaded: Loaded,
  entries: readonly Entry[],
  folder: (entry: Entry) => string,
  run: (loaded: Loaded, recipe: Recipe, out: string) => Promise<{ result: RunResult }>,
): Promise<void> {
  const { out, json } = loaded;
  const outcomes = new Map<string, Outcome[]>();
  const runs: Record<string, unknown>[] = [];
  const began = performance.now();
  let failed = 0;
  for (const [i, entry] of entries.entries()) {
    if (loaded.stopped()) break;
    const { name, recipe } = entry;
    const done = (performance.now() - began) / 1000;
    const left = i > 0 ? `, about ${Math.ceil((done / i) * (entries.length - i))} s left in all` : "";
    remark(`Run ${i + 1} of ${entries.length}: ${name}, seed ${recipe.seed}${left}`, json);
    const record = { name, seed: recipe.seed, folder: folder(entry) };
    try {
      const { result } = await run(loaded, recipe, join(out, record.folder));
      const outcome = outcomeOf(result);
      runs.push({ ...record, complete: result.complete, ...outcome });
      // A run that was stopped half way is kept, and says nothing of the others' mean.
      if (result.complete) outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
    } catch (error) {
      const { parts, message } = Failure.from(error);
      if (parts.code !== "cancelled") failed += 1;
      runs.push({ ...record, complete: false, failure: parts });
      remark(`${name}, seed ${recipe.seed}: ${message}`, json);
    }
  }
  const summaries = [...outcomes].map(([name, each]) => ({ name, ...(summarise(each) as Summary) }));
  const summary = { asked: entries.length, failed, summaries, runs };
  await writeFile(join(out, "summary.json"), `${JSON.stringify(summary, null, 2)}\n`);
  if (json) process.stdout.write(`${JSON.stringify({ kind: "done", ...summary })}\n`);
  else process.stdout.write(summaryTable(summaries));
  if (failed > 0) {
    throw new Failure({
      code: "state",
      what: `${failed} of ${entries.length} runs failed.`,
      where: out,
      remedy: "See summary.json for each; the others are kept.",
    });
  }
}

function summaryTable(summaries: readonly (Summary & { name: string })[]): string {
  const sets = summaries[0]?.sets ?? [];
  const spread = ({ mean, deviation }: Spread, scale: number) =>
    (scale * mean).toFixed(1) + (deviation === null ? "" : ` ± ${(scale * deviation).toFixed(1)}`);
  return table(
    ["run", "runs", "open", ...sets.flatMap(({ name }) => [`${name}, %`, "change"]), "seconds"],
    summaries.map((one) => [
      one.name,
      String(one.runs),
      `${spread(one.open, 1)} of ${one.gates}`,
      ...sets.flatMap(({ role, name }) => {
        const found = one.sets.find((set) => set.role === role && set.name === name);
        return found ? [spread(found.after, 100), spread(found.change, 100)] : ["", ""];
      }),
      spread(one.seconds, 1),
    ]),
  );
}
