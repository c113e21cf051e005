// One model on one folder: accuracy with its interval, balanced, per class, and how far its certainty can be trusted.
import { basename, resolve } from "node:path";
import { createNodeSession } from "../session/node.ts";
import type { Head, ModelReport } from "../session/protocol.ts";
import { classMapFrom, mapClasses, mappingAdvice } from "./class_map.ts";
import { checkLayouts, dataAnswersFrom, loadFolder } from "./data_sets.ts";
import { modelFiles } from "./model_files.ts";
import {
  backendFrom,
  badArgument,
  modelAnswersFrom,
  recipeFrom,
  requireAnswers,
  required,
  type Values,
} from "./options.ts";
import { remark, reporter } from "./reporter.ts";
import type { Stops } from "./stops.ts";
import { print } from "./streams.ts";
import { judgeWords, percent, table } from "./table.ts";

/** A head by the name it has in a terminal: a linear one that is only fitted is called a probe. */
const headNames: Record<string, Head> = { own: "own", probe: "linear", knn: "knn", "zero-shot": "zero-shot" };

function headFrom(values: Values): Head | null {
  if (values.head === undefined) return null;
  const head = headNames[String(values.head)];
  if (head) return head;
  throw badArgument(`--head is own, probe, knn or zero-shot here, got "${values.head}".`);
}

/** What a model answers by where nothing is asked for, as retention is judged. */
function usualHead({ architecture, text }: ModelReport): Head {
  if (architecture.labels?.length) return "own";
  return text.available ? "zero-shot" : "knn";
}

export async function evaluate(values: Values, stops: Stops): Promise<number> {
  const asked = headFrom(values);
  const { head: _, ...settings } = values;
  const recipe = recipeFrom(settings);
  const model = required(values, "model");
  const data = required(values, "data");
  const name = basename(resolve(data));
  const classMap = await classMapFrom(values, [name]);
  const backend = backendFrom(values);
  checkLayouts(values, []);
  const json = values.json === true;
  const session = createNodeSession();
  const tell = reporter(json);
  session.subscribe(tell);
  stops.onStop(() => void session.stop());

  const device = await session.open(backend);
  const loaded = await session.loadModel(await modelFiles(model, tell, stops), modelAnswersFrom(values));
  requireAnswers(loaded);
  for (const note of loaded.notes) remark(note, json);
  for (const { question, usual } of loaded.questions)
    remark(`${question} Using the usual value: ${usual}.`, json);
  const head = asked ?? usualHead(loaded);
  if (head !== "own" && (values.map ?? values["map-file"]) !== undefined)
    throw badArgument(
      "--map and --map-file say what counts as which of the model's labels: they need --head own.",
    );
  const role = head === "linear" || head === "knn" ? "target" : "retention";
  const answers = dataAnswersFrom(values, null);
  const report = await mapClasses(
    session,
    await loadFolder(session, { role, name, path: data, seed: recipe.seed, answers, json }),
    classMap,
  );
  // Zero-shot asks for no label of the model's own.
  for (const issue of report.issues)
    if (issue.severity !== "note" && head !== "zero-shot") remark(`${name}: ${issue.text}`, json);
  const advice = head === "own" ? mappingAdvice(report) : null;
  if (advice) remark(`${name}: ${advice}`, json);
  const set = await session.evaluate(report.id, head, recipe);

  const { count, correct, accuracy, interval, balanced, calibration, perClass } = set;
  if (json) {
    const summary = { model: loaded.name, data: name, head: head === "linear" ? "probe" : head, device };
    const scores = { count, correct, accuracy, interval, balanced, calibration, perClass };
    print(`${JSON.stringify({ kind: "done", ...summary, ...scores })}\n`);
    return 0;
  }
  print(
    table(
      ["class", "images", "right", "accuracy"],
      perClass.map((one) => [
        one.name,
        String(one.count),
        String(one.correct),
        percent(one.correct / one.count),
      ]),
    ),
  );
  const by = head === "linear" ? "linear probe" : judgeWords[head];
  print(
    `\n${loaded.name} on ${name}, ${by}: ${correct} of ${count} right, ${percent(accuracy)} ` +
      `(95 % interval ${percent(interval[0])} to ${percent(interval[1])}), balanced ${percent(balanced)}, ` +
      `ECE ${calibration.ece.toFixed(3)} in ${calibration.bins.length} equal bins.\n`,
  );
  return 0;
}
