// Folders of images for a session: how they are to be read, what is told of them, and what to answer where that is asked.
import { layoutWords } from "../session/layout_words.ts";
import { walk } from "../session/node.ts";
import type { DataAnswers, DataQuestion, DataReport, DataRole, Session } from "../session/protocol.ts";
import { badArgument, type Values } from "./options.ts";
import { remark } from "./reporter.ts";

/**
 * What is said of how a set is to be read: `--layout KIND` and `--domain NAME` of the target (or the one set there is),
 * `--layout SET=KIND` of any other; `--zip-encoding` is said of all.
 */
export function dataAnswersFrom(values: Values, set: string | null): DataAnswers {
  const layouts = (values.layout as string[] | undefined) ?? [];
  const encoding = values["zip-encoding"];
  const answers: DataAnswers = typeof encoding === "string" ? { encoding } : {};
  for (const entry of layouts) {
    const at = entry.indexOf("=");
    if ((at < 0 ? null : entry.slice(0, at)) === set) answers.layout = entry.slice(at + 1);
  }
  if (set === null && typeof values.domain === "string") answers.domain = values.domain;
  return answers;
}

/** Checks that every `--layout SET=KIND` names a set. */
export function checkLayouts(values: Values, sets: readonly string[]): void {
  for (const entry of (values.layout as string[] | undefined) ?? []) {
    const set = entry.slice(0, Math.max(0, entry.indexOf("=")));
    if (set !== "" && !sets.includes(set)) throw badArgument(`--layout ${entry}: there is no set "${set}".`);
  }
}

interface Wanted {
  role: DataRole;
  name: string;
  path: string;
  seed: number;
  answers?: DataAnswers;
  json: boolean;
}

/** Loads a folder, and says how it was read. */
export async function loadFolder(session: Session, wanted: Wanted): Promise<DataReport> {
  const { role, name, path, seed, answers, json } = wanted;
  const tell = (sentence: string) => remark(`${name}: ${sentence}`, json);
  const report = await session.loadData(
    role,
    name,
    await walk(path, { emptyFolders: true, tell }),
    seed,
    answers,
  );
  if (report.reading) tell(`${layoutWords(report.reading.taken, report.reading.domain)}.`);
  return report;
}

/** Loads every domain that the target is not taken from as an OOD set of its own. */
export async function loadOtherDomains(
  session: Session,
  target: DataReport,
  wanted: Wanted,
): Promise<DataReport[]> {
  const { reading } = target;
  if (!reading || reading.domain === null)
    throw badArgument(
      "--ood-domains needs a target of several domains, and --domain to say which is learned.",
    );
  const others = reading.taken.domains.filter((domain) => domain !== reading.domain);
  const reports: DataReport[] = [];
  for (const domain of others) {
    const answers = { ...wanted.answers, layout: reading.taken.layout, domain };
    reports.push(await loadFolder(session, { ...wanted, role: "ood", name: domain, answers }));
  }
  return reports;
}

/** What can be answered to a question, an option a line. */
export function choiceLines({ readings }: DataQuestion): string[] {
  const rows = readings.map((reading) => {
    const option =
      reading.domains.length > 0
        ? `--domain ${quoted(reading.domains[0] as string)}`
        : `--layout ${quoted(reading.layout)}`;
    const more =
      reading.domains.length > 1 ? ` (or ${reading.domains.slice(1, 12).map(quoted).join(", ")})` : "";
    return { option, words: `${layoutWords(reading)}${more}` };
  });
  const width = Math.max(...rows.map(({ option }) => option.length));
  return rows.map(({ option, words }) => `  ${option.padEnd(width)}  ${words}`);
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\p{L}\p{N}_.:@/-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
