// Takes the reading of a drop that is sure, or the one that the person named; asks where only the person can know.
import { Failure } from "../failure.ts";
import { list, plural } from "./issues.ts";
import type { Layouts, Tree } from "./layout.ts";
import { doubtWords } from "./layout_words.ts";
import { normaliseName } from "./match.ts";
import { type Candidate, readingOf } from "./placement.ts";
import type { DataAnswers, DataReading, Doubt } from "./types.ts";

/**
 * @throws Failure `bad-data`: no reading at all; an answer that fits none; or, with a `question`, a doubt
 */
export function chooseLayout(
  name: string,
  tree: Tree,
  layouts: Layouts,
  answers: DataAnswers,
): { candidate: Candidate; reading: DataReading } {
  const { candidates } = layouts;
  if (candidates.length === 0) throw nothing(name, tree, layouts);
  const readings = candidates.map(readingOf);
  const ask = (doubt: Doubt) =>
    new Failure({
      code: "bad-data",
      what: doubtWords[doubt],
      where: name,
      remedy: "Say how it is to be read.",
      question: { doubt, readings },
    });
  const at = answered(answers, candidates);
  if (at === -1)
    throw unknown(
      name,
      `It cannot be read as "${answers.layout ?? "domains"}".`,
      readings.map(({ layout }) => layout),
    );
  const candidate = candidates[at ?? 0] as Candidate;
  if (at === null && candidate.doubt !== null) throw ask(candidate.doubt);
  const domain = domainOf(name, candidate, answers);
  if (candidate.domains.length > 0 && domain === null) throw ask(candidate.doubt ?? "same-classes");
  const others = readings.filter((_, i) => i !== (at ?? 0));
  return { candidate, reading: { taken: readings[at ?? 0] as DataReading["taken"], domain, others } };
}

/** Place of the candidate that the answers name; null without an answer, -1 where none is meant. */
function answered({ layout, domain }: DataAnswers, candidates: readonly Candidate[]): number | null {
  if (layout === undefined)
    return domain === undefined ? null : candidates.findIndex(({ domains }) => domains.length > 0);
  const exact = candidates.findIndex((one) => one.layout === layout);
  if (exact >= 0) return exact;
  // `table` is enough where there is one column, and `domains` wherever the domains lie.
  return candidates.findIndex(
    (one) => one.kind === layout || normaliseName(one.layout) === normaliseName(layout),
  );
}

function domainOf(name: string, { domains }: Candidate, { domain }: DataAnswers): string | null {
  if (domains.length === 0 || domain === undefined) return null;
  const found = domains.includes(domain)
    ? domain
    : domains.find((one) => normaliseName(one) === normaliseName(domain));
  if (found === undefined) throw unknown(name, `There is no domain "${domain}".`, domains);
  return found;
}

function unknown(name: string, what: string, known: readonly string[]): Failure {
  return new Failure({ code: "bad-data", what, where: name, remedy: `There is ${list([...known])}.` });
}

/** What a drop without any reading is, as far as its names tell. */
function nothing(name: string, { images, tables }: Tree, { isInstead }: Layouts): Failure {
  const refuse = (what: string, remedy: string) =>
    new Failure({ code: "bad-data", what, where: name, remedy });
  if (isInstead?.kind === "masks")
    return refuse(
      `The folders ${list(isInstead.folders)} hold images and masks, as for segmentation, and no class folders.`,
      "Put the images of each class into a folder named after it, without the masks.",
    );
  if (isInstead?.kind === "boxes")
    return refuse(
      `This is a set for object detection, its boxes in ${isInstead.files}; it says where things are, and not what an image as a whole shows.`,
      "Export it for classification, with one folder of images for each class.",
    );
  const beside =
    tables.length > 0
      ? ` ${list(tables.map(({ path }) => path))} ${tables.length === 1 ? "names" : "name"} none of them, or no label.`
      : "";
  return refuse(
    `${plural(images.length, "image")} but no class folders: nothing says what the images show.${beside}`,
    tables.length > 0
      ? "Give a table with a column of file names and a column of labels, or put the images of each class into a folder named after it."
      : "Put the images of each class into a folder named after it.",
  );
}
