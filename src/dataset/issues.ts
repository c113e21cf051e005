// How a found thing is put into a sentence.
import type { DataIssue } from "./types.ts";

const MAX_PATHS = 20;

export function issue(severity: DataIssue["severity"], text: string, paths: string[] = []): DataIssue {
  return { severity, text, paths: paths.slice(0, MAX_PATHS) };
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

export function are(count: number): string {
  return count === 1 ? "is" : "are";
}

/** "a, b, c and 4 more". */
export function list(names: string[]): string {
  const shown = names.slice(0, 6).join(", ");
  return names.length > 6 ? `${shown} and ${names.length - 6} more` : shown;
}
