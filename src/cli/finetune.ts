// One run, a run over seeds, and the standard line-up, into folders: the merged model and the records of each.

import { basename, join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { balancedTells } from "../session/balanced.ts";
import { basisWords } from "../session/basis.ts";
import { nameOfRun } from "../session/export_name.ts";
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
import { createNodeSession, openFiles } from "../session/node.ts";
import type {
  AccuracyPoint,
  DataReport,
  DeviceReport,
  Evaluation,
  ExportedFile,
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
import { savedRunNames, writeSavedRun } from "../session/saved_run_files.ts";
import { classMapFrom, mapClasses, mappingAdvice } from "./class_map.ts";
import { checkLayouts, dataAnswersFrom, loadFolder, loadOtherDomains } from "./data_sets.ts";
import { CannotWrite } from "./disk.ts";
import { filesOnDisk, heldInMemory, modelFiles, placeOfModel, weightBytes } from "./model_files.ts";
import {
  backendFrom,
  badArgument,
  corruptionsFrom,
  idleOptions,
  modelAnswersFrom,
  named,
  recipeFrom,
  requireAnswers,
  required,
  seedsFrom,
  type Values,
} from "./options.ts";
import { type OutFolder, openElsewhere, openOut, requireRoom, type Stage } from "./out_folder.ts";
import { placesRead } from "./places.ts";
import { remark, reporter } from "./reporter.ts";
import { keepSnapshots, type Snapshots, snapshotPaths } from "./snapshots.ts";
import type { Stops } from "./stops.ts";
import { print } from "./streams.ts";
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
  out: OutFolder;
  /** Where results went that `out` did not take; null as long as it took all. */
  elsewhere: { folder: OutFolder; because: Failure } | null;
  /** What an export of the run is called. */
  nameOf: (recipe: Recipe, open: Uint8Array) => string;
  seeds: number;
  tradeOff: boolean;
  json: boolean;
  device: DeviceReport;
  model: ModelReport;
  data: DataReport[];
  /** What the run under way, or the last one, has told. */
  told: { steps: StepReport[]; points: AccuracyPoint[] };
  /** What keeps the run that is under way; null while none is. */
  snapshots: Snapshots | null;
  stops: Stops;
  tell: (text: string) => void;
}

/** What the options ask for; nothing has been looked at or loaded yet. */
function askedFor(values: Values) {
  const recipe = recipeFrom(values);
  const seeds = seedsFrom(values);
  const out = required(values, "out");
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
  checkLayouts(
    values,
    extra.map(([, name]) => name),
  );
  const [corruptions, backend] = [corruptionsFrom(values), backendFrom(values)];
  const answers = modelAnswersFrom(values);
  const json = values.json === true;
  return { recipe, seeds, out, target, model, extra, kept, corruptions, backend, answers, json, values };
}
type Asked = ReturnType<typeof askedFor>;

/** Checks and holds the folder for results, before anything is loaded. */
async function openResults({ out, model, target, extra, kept, json, values }: Asked): Promise<OutFolder> {
  const reads = await Promise.all([
    placesRead("--model", placeOfModel(model)),
    placesRead("--target", target),
    ...extra.map(([role, name, path]) => placesRead(`--${role} ${name}`, path)),
    ...kept.map((path) => placesRead("--keep-data", path)),
  ]);
  const tell = (text: string) => remark(text, json);
  return openOut(out, { reads: reads.flat(), overwrite: values.overwrite === true, tell });
}

async function load(asked: Asked, out: OutFolder, stops: Stops, writesModel: boolean): Promise<Loaded> {
  const { recipe, seeds, target, model, extra, kept, corruptions, backend, answers, json, values } = asked;
  const classMap = await classMapFrom(
    values,
    extra.map(([, name]) => name),
  );
  const session = createNodeSession();
  const tell = reporter(json);
  session.subscribe(tell);
  const told: Loaded["told"] = { steps: [], points: [] };
  session.subscribe((event) => {
    if (event.kind === "started") Object.assign(told, { steps: [], points: [] });
    else if (event.kind === "step") told.steps.push(event.report);
    else if (event.kind === "accuracy") told.points.push(event.point);
  });
  // The first signal ends the run after its step and keeps what was learned: at once as it stands, and merged and
  // measured after that. Merging and writing go on.
  let exporting = false;
  session.subscribe((event) => {
    if (event.kind === "status") exporting = event.status === "exporting";
  });

  for (const option of idleOptions(values, recipe))
    remark(`${option} does nothing with --method ${recipe.method} and the other options as they are.`, json);
  let loaded: Loaded | null = null;
  const found = await modelFiles(model, tell, stops);
  if (writesModel) await requireRoom(out, seeds * weightBytes(found));
  stops.onStop(() => {
    void loaded?.snapshots?.now();
    if (!exporting) void session.stop();
  });
  const device = await session.open(backend);
  remark([`Computing on ${device.adapter}.`, device.reason].filter(Boolean).join(" "), json);
  const files = writesModel ? await heldInMemory(found, (text) => remark(text, json)) : found;
  const report = await session.loadModel(files, answers);
  requireAnswers(report);
  for (const note of report.notes) remark(note, json);
  for (const { question, usual } of report.questions)
    remark(`${question} Using the usual value: ${usual}.`, json);
  const { seed } = recipe;
  const said = dataAnswersFrom(values, null);
  const wanted = { role: "target", name: "target", path: target, seed, json } as const;
  const learned = await loadFolder(session, { ...wanted, answers: said });
  const reports = [learned];
  if (values["ood-domains"] === true)
    reports.push(...(await loadOtherDomains(session, learned, { ...wanted, answers: said })));
  for (const [role, name, path] of extra) {
    if (reports.some((one) => one.role === role && one.name === name))
      throw badArgument(`--${role} ${name} has the name of one of the target's domains.`);
    const answers = dataAnswersFrom(values, name);
    const report = await loadFolder(session, { role, name, path, seed, answers, json });
    reports.push(await mapClasses(session, report, classMap));
  }
  if (corruptions) await session.corrupt(corruptions);
  for (const [i, path] of kept.entries())
    reports.push(
      await loadFolder(session, {
        ...{ role: "keep", name: `keep ${i + 1}`, path, seed, json },
        answers: dataAnswersFrom(values, `keep ${i + 1}`),
      }),
    );
  for (const report of reports) {
    for (const { severity, text } of report.issues)
      if (severity !== "note") remark(`${report.name}: ${text}`, json);
    const advice = mappingAdvice(report);
    if (advice) remark(`${report.name}: ${advice}`, json);
  }

  const data = basename(resolve(target)).replace(/\.zip$/i, "");
  loaded = {
    ...{ session, recipe, out, seeds, json, device, told, stops },
    elsewhere: null,
    nameOf: (of, open) => nameOfRun(report.name, data, of, open),
    tradeOff: values["trade-off"] === true,
    model: report,
    data: reports,
    snapshots: null,
    tell: (text) => remark(text, json),
  };
  return loaded;
}

/** Loads what the options ask for, works on it, and lets go of the folder however that ends; gives the exit code. */
async function withLoaded(
  values: Values,
  stops: Stops,
  writesModel: boolean,
  work: (loaded: Loaded) => Promise<number>,
): Promise<number> {
  const asked = askedFor(values);
  const out = await openResults(asked);
  let loaded: Loaded | null = null;
  try {
    loaded = await load(asked, out, stops, writesModel);
    const code = await work(loaded);
    if (loaded.elsewhere) throw wentElsewhere(out, loaded.elsewhere);
    return code;
  } finally {
    await loaded?.elsewhere?.folder.close();
    await out.close();
  }
}

function wentElsewhere(out: OutFolder, { folder, because }: NonNullable<Loaded["elsewhere"]>): Failure {
  return new Failure({
    code: "state",
    what: `Not all results could be written where they were asked for: ${because.parts.what}`,
    where: out.path,
    remedy: `They are in ${folder.path}.`,
  });
}

/**
 * Makes and writes a set of files into the results' folder, or, where that does not take it, into one among the temporary
 * files: what was computed is in memory until one of them has it.
 * @returns what `make` gave, and where the set lies
 */
async function deliver<T>(
  loaded: Loaded,
  name: string,
  make: (stage: Stage) => Promise<T>,
  options: { replacing: boolean; without?: readonly string[] },
): Promise<{ value: T; path: string }> {
  async function put(folder: OutFolder) {
    const stage = await folder.stage();
    try {
      const value = await make(stage);
      await stage.commit(options);
      return { value, path: folder.path };
    } finally {
      await stage.discard();
    }
  }
  try {
    return await put(loaded.out);
  } catch (error) {
    if (!(error instanceof CannotWrite)) throw error;
    const folder = loaded.elsewhere?.folder ?? (await openElsewhere(name, loaded.tell));
    loaded.elsewhere ??= { folder, because: error };
    loaded.tell(`${error.parts.where}: ${error.parts.what} The results go to ${folder.path} instead.`);
    return put(folder);
  }
}

/** The records of a run, for its folder `sub`: what it was and came to; and what is told of it. */
function recordsOf<More>(
  { device, model, data, told }: Loaded,
  result: RunResult,
  sub: string,
  {
    path = [],
    tradeOff = null,
    notes,
    ...more
  }: More & { path?: PathPoint[]; tradeOff?: TradeOff | null; notes: readonly string[] },
) {
  const files: ExportedFile[] = [];
  const write = (name: string, value: unknown) => files.push(jsonFile(sub + name, value));
  write("recipe.json", {
    selora: 1,
    recipe: result.recipe,
    device,
    model: model.name,
    modelSettings: settingsOf(model),
  });
  write(
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
    ...(result.probed ? { probed: result.probed } : {}),
    steps: result.steps,
    seconds: result.seconds,
    device,
    ...(path.length > 0 ? { path } : {}),
    ...more,
  };
  write("metrics.json", summary);
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
  files.push({ path: `${sub}report.html`, blob: new Blob([report.html]) });
  files.push({ path: `${sub}report.json`, blob: new Blob([report.json]) });
  return { files, summary };
}

function jsonFile(path: string, value: unknown): ExportedFile {
  return { path, blob: new Blob([`${JSON.stringify(value, null, 2)}\n`]) };
}

/** Trains one recipe, keeping what it learns while it does. */
async function train(loaded: Loaded, recipe: Recipe, sub: string): Promise<RunResult> {
  const snapshots = keepSnapshots(loaded.session, loaded.out, sub, loaded.tell);
  loaded.snapshots = snapshots;
  try {
    return await loaded.session.train(recipe);
  } finally {
    loaded.snapshots = null;
    await snapshots.end();
  }
}

/** Trains, and writes the merged model and the records into the folder `sub` of the results, as one set. */
async function runInto(loaded: Loaded, recipe: Recipe, sub: string) {
  const { session } = loaded;
  const result = await train(loaded, recipe, sub);
  const name = loaded.nameOf(recipe, result.final.open);
  // A run that ended early can be gone on with; of one that is done the merged model says it all.
  const without = result.complete ? snapshotPaths(sub) : [];
  const written = await writeModel(loaded, result, name, sub, without).catch((error: unknown) =>
    keepLearned(loaded, name, sub, error),
  );
  const { summary, records } = written.value;
  const at = join(written.path, sub);
  if (loaded.tradeOff && !loaded.stops.by) {
    const tradeOff = await session.tradeOff();
    const curve = jsonFile(`${sub}tradeoff.json`, curveOf(tradeOff, await session.robustness()));
    if (!loaded.json) print(tradeOffTable(tradeOff));
    // Once more with the curve in the report; a curve that fails has then lost nothing.
    const again = recordsOf(loaded, result, sub, { ...records, tradeOff });
    await deliver(loaded, name, (stage) => stage.add([...again.files, curve]), { replacing: true });
  }
  if (result.failure) throw new Failure(result.failure);
  return { result, summary, at };
}

/** Merges, writes, has what lies on the disk read back and scored, and only then makes it visible, with its records. */
async function writeModel(
  loaded: Loaded,
  result: RunResult,
  name: string,
  sub: string,
  without: readonly string[],
) {
  const { session } = loaded;
  const { files, changed, total, notes } = await session.merge();
  const make = async (stage: Stage) => {
    await stage.add(files.map(({ path, blob }) => ({ path: sub + path, blob })));
    const { accuracy } = await session.readBack(await filesOnDisk(join(stage.path, sub)));
    const records = { exported: { accuracy, changed, total }, notes };
    const { files: more, summary } = recordsOf(loaded, result, sub, records);
    await stage.add(more);
    return { summary, records };
  };
  const written = await deliver(loaded, name, make, { replacing: true, without });
  // Where it lies now, among whatever else lies there.
  await openFiles(await filesOnDisk(join(written.path, sub)));
  return written;
}

/** Where no model can be written, what was learned is: the change alone, as a run that can be taken up again. */
async function keepLearned(loaded: Loaded, name: string, sub: string, error: unknown): Promise<never> {
  const failure = Failure.from(error);
  const { what, where } = failure.parts;
  const saved = await loaded.session.saveRun();
  if (!saved) throw failure;
  const files = writeSavedRun(saved).map(({ path, blob }) => ({ path: sub + path, blob }));
  const kept = await deliver(loaded, name, (stage) => stage.add(files), { replacing: false }).catch(
    () => null,
  );
  if (!kept) throw failure;
  throw new Failure(
    {
      code: "state",
      what: `The merged model could not be written: ${what}`,
      ...(where ? { where } : {}),
      remedy: `What was learned is kept in ${join(kept.path, sub)}, as ${Object.values(savedRunNames).join(" and ")}.`,
    },
    { cause: error },
  );
}

const countOf = (open: Uint8Array) => open.reduce((sum, flag) => sum + flag, 0);

function curveOf({ sets, points, knee }: TradeOff, robustness: SetRobustness[]) {
  return {
    sets: sets.map(({ role, name, count, before }) => ({ role, name, count, before })),
    points: points.map(({ open, accuracies }) => ({
      open: countOf(open),
      gates: [...open.keys()].filter((gate) => open[gate] === 1),
      accuracies,
    })),
    knee,
    robustness: robustness.map(({ id: _, ...set }) => set),
  };
}

function tradeOffTable({ sets, points, knee }: TradeOff): string {
  const rows = points.map(({ open, accuracies }, i) => [
    String(countOf(open)) + (i === knee ? ", knee" : ""),
    ...accuracies.map(percent),
  ]);
  const before = ["before", ...sets.map((set) => percent(set.before))];
  return `${table(["open", ...sets.map(({ name, basis }) => `${name} (${basisWords(basis)})`)], [before, ...rows])}\n`;
}

type Measured = Pick<SetPart, "accuracy" | "count" | "interval">;

/** One run, or one a seed. */
export function finetune(values: Values, stops: Stops): Promise<number> {
  return withLoaded(values, stops, true, async (loaded) => {
    const { recipe, seeds } = loaded;
    if (seeds > 1) {
      const entries = overSeeds([{ name: "run", recipe }], seeds);
      return series(loaded, entries, ({ recipe: { seed } }) => `seed-${seed}`, runInto);
    }
    const { result, summary, at } = await runInto(loaded, recipe, "");
    const stopped = stopOf(loaded, result);
    if (loaded.json) print(`${JSON.stringify({ kind: "done", ...stopped, out: at, ...summary })}\n`);
    else print(runWords(summary, at, stopped));
    // A signal that came when the run was done has stopped nothing.
    return result.complete ? 0 : stops.code;
  });
}

/** How a run that was stopped says so. */
function stopOf({ stops, told }: Loaded, { complete, steps }: RunResult) {
  if (complete || !stops.by) return {};
  const all = told.steps.at(-1)?.steps ?? steps;
  return { stopped: { by: stops.by, step: steps, steps: all } };
}

/** What a run came to, as a table and two lines. */
function runWords(
  {
    before,
    after,
    open,
    gates,
    exported,
  }: ReturnType<typeof recordsOf>["summary"] & {
    exported: { accuracy: number };
  },
  at: string,
  { stopped }: ReturnType<typeof stopOf>,
): string {
  const balanced = balancedTells(...before, ...after);
  const rows = after.flatMap((set, i) => {
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
    const even = balanced ? [percent(before[i]?.balanced ?? 0), percent(set.balanced)] : [];
    return [
      [...row(set, before[i], parts.length > 0 ? `${set.name}, mean` : set.name), ...even],
      ...parts.map((part, p) => row(part, before[i]?.parts?.[p], `  ${part.name}`)),
    ];
  });
  const heads = ["set", "images", "judged by", "before", "after", "change", "95 % interval"];
  return [
    table(balanced ? [...heads, "balanced before", "after"] : heads, rows),
    stopped
      ? `Stopped by ${stopped.by} after step ${stopped.step} of ${stopped.steps}; this is what was learned until then.\n`
      : "",
    `${open} of ${gates} blocks open. Merged model in ${at}, read back: target ${percent(exported.accuracy)}.\n`,
  ].join("");
}

/** Shares of the change at which a run of the line-up is measured too (WiSE-FT), and most images a set for that. */
const path = { strengths: [0, 0.25, 0.5, 0.75, 1], limit: 256 };

/** The standard line-up, over seeds: the records of each run, without merged weights. */
export function suite(values: Values, stops: Stops): Promise<number> {
  return withLoaded(values, stops, false, (loaded) => {
    const entries = overSeeds(standardLineUp(loaded.recipe), loaded.seeds);
    const folder = ({ name, recipe }: Entry) =>
      name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/-$/, "") + (loaded.seeds > 1 ? `-seed-${recipe.seed}` : "");
    return series(loaded, entries, folder, async (_, recipe, sub) => {
      const result = await train(loaded, recipe, sub);
      const measured: PathPoint[] = result.complete
        ? await loaded.session.measurePath(path.strengths, path.limit)
        : [];
      const { files, summary } = recordsOf(loaded, result, sub, { path: measured, notes: [] });
      const name = loaded.nameOf(recipe, result.final.open);
      const without = result.complete ? snapshotPaths(sub) : [];
      const written = await deliver(loaded, name, (stage) => stage.add(files), { replacing: true, without });
      if (result.failure) throw new Failure(result.failure);
      return { result, summary, at: join(written.path, sub) };
    });
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
  run: (loaded: Loaded, recipe: Recipe, sub: string) => Promise<{ result: RunResult; at: string }>,
): Promise<number> {
  const { out, json, stops } = loaded;
  const outcomes = new Map<string, Outcome[]>();
  const runs: Record<string, unknown>[] = [];
  const began = performance.now();
  let failed = 0;
  const summary = () => {
    const summaries = [...outcomes].map(([name, each]) => ({ name, ...(summarise(each) as Summary) }));
    const stopped = stops.by ? { stopped: { by: stops.by } } : {};
    return { asked: entries.length, failed, ...stopped, summaries, runs };
  };
  const writeSummary = () =>
    // Only a run that was written takes the place of an earlier set.
    deliver(loaded, "runs", (stage) => stage.add([jsonFile("summary.json", summary())]), {
      replacing: runs.some(({ at }) => at !== undefined),
    });
  for (const [i, entry] of entries.entries()) {
    if (stops.by) break;
    const { name, recipe } = entry;
    const done = (performance.now() - began) / 1000;
    const left = i > 0 ? `, about ${Math.ceil((done / i) * (entries.length - i))} s left in all` : "";
    remark(`Run ${i + 1} of ${entries.length}: ${name}, seed ${recipe.seed}${left}`, json);
    const record = { name, seed: recipe.seed, folder: folder(entry) };
    try {
      const { result, at } = await run(loaded, recipe, `${record.folder}/`);
      const outcome = outcomeOf(result);
      runs.push({ ...record, at, complete: result.complete, ...outcome });
      // A run that was stopped half way is kept, and says nothing of the others' mean.
      if (result.complete) outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
    } catch (error) {
      const { parts, terminalMessage } = Failure.from(error);
      if (parts.code !== "cancelled") failed += 1;
      runs.push({ ...record, complete: false, failure: parts });
      remark(`${name}, seed ${recipe.seed}: ${terminalMessage}`, json);
    }
    if (runs.at(-1)?.at !== undefined) await writeSummary();
  }
  await writeSummary();
  const said = summary();
  if (json) print(`${JSON.stringify({ kind: "done", ...said })}\n`);
  else {
    print(summaryTable(said.summaries));
    if (stops.by) print(`Stopped by ${stops.by}: ${runs.length} of ${entries.length} runs were begun.\n`);
  }
  if (failed > 0) {
    throw new Failure({
      code: "state",
      what: `${failed} of ${entries.length} runs failed.`,
      where: out.path,
      remedy: "See summary.json for each; the others are kept.",
    });
  }
  return runs.length === entries.length && runs.every(({ complete }) => complete) ? 0 : stops.code;
}

function summaryTable(summaries: readonly (Summary & { name: string })[]): string {
  const sets = summaries[0]?.sets ?? [];
  const uneven = (name: string, role: string) =>
    summaries.some((one) =>
      one.sets.some((set) => set.role === role && set.name === name && set.balancedTells),
    );
  const spread = ({ mean, deviation }: Spread, scale: number) =>
    (scale * mean).toFixed(1) + (deviation === null ? "" : ` ± ${(scale * deviation).toFixed(1)}`);
  return table(
    [
      ...["run", "runs", "open"],
      ...sets.flatMap(({ role, name }) => [
        ...[`${name}, %`, "change"],
        ...(uneven(name, role) ? ["balanced, %"] : []),
      ]),
      "seconds",
    ],
    summaries.map((one) => [
      one.name,
      String(one.runs),
      `${spread(one.open, 1)} of ${one.gates}`,
      ...sets.flatMap(({ role, name }) => {
        const found = one.sets.find((set) => set.role === role && set.name === name);
        const balanced = uneven(name, role) ? [found ? spread(found.balanced, 100) : ""] : [];
        return [...(found ? [spread(found.after, 100), spread(found.change, 100)] : ["", ""]), ...balanced];
      }),
      spread(one.seconds, 1),
    ]),
  );
}
