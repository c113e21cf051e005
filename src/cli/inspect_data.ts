// A look at a folder of images as it would be trained on: how it is read, its classes and splits, and what is odd.
import { basename, resolve } from "node:path";
import { layoutWords } from "../session/layout_words.ts";
import { createNodeSession, walk } from "../session/node.ts";
import type { DataReport } from "../session/protocol.ts";
import { checkLayouts, dataAnswersFrom } from "./data_sets.ts";
import { recipeFrom, required, type Values } from "./options.ts";
import { remark } from "./reporter.ts";
import { print } from "./streams.ts";
import { table } from "./table.ts";

export async function inspectData(values: Values): Promise<number> {
  const path = required(values, "data");
  const json = values.json === true;
  checkLayouts(values, []);
  const name = basename(resolve(path));
  const files = await walk(path, { emptyFolders: true, tell: (sentence) => remark(sentence, json) });
  const { seed } = recipeFrom(values);
  const report = await createNodeSession().loadData(
    "target",
    name,
    files,
    seed,
    dataAnswersFrom(values, null),
  );
  print(json ? `${JSON.stringify(report)}\n` : inWords(report));
  return 0;
}

function inWords({ name, count, classes, splitOrigin, reading, issues }: DataReport): string {
  const lines = [`${name}: ${count.toLocaleString("en")} images.`];
  if (reading) lines.push(`Read as ${reading.taken.layout}: ${layoutWords(reading.taken, reading.domain)}.`);
  if (splitOrigin === "drawn") lines.push("The validation images are drawn.");
  lines.push(
    "",
    table(
      ["class", "train", "val", "test"],
      classes.map(({ name: one, counts }) => [one, ...[counts.train, counts.val, counts.test].map(String)]),
    ),
  );
  for (const { severity, text, paths } of issues) {
    lines.push(`${severity}: ${text}`);
    for (const path of paths.slice(0, 3)) lines.push(`  ${path}`);
    if (paths.length > 3) lines.push(`  and ${paths.length - 3} more`);
  }
  for (const other of reading?.others ?? [])
    lines.push(`Could also be read with --layout ${other.layout}: ${layoutWords(other)}.`);
  return `${lines.join("\n")}\n`;
}
