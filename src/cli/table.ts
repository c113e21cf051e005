// Plain-text tables for the terminal, and how numbers stand in them.
import type { Head } from "../session/protocol.ts";

export const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
export const signed = (x: number) => `${x >= 0 ? "+" : ""}${(100 * x).toFixed(1)}`;

/** What answered. */
export const judgeWords: Record<Head, string> = {
  linear: "linear",
  own: "own",
  "zero-shot": "zero-shot",
  knn: "k-NN",
};

/** Left-aligned columns, two spaces apart, with a rule under the heads; ends in a newline. */
export function table(heads: string[], rows: string[][]): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  return `${[line(heads), line(widths.map((w) => "-".repeat(w))), ...rows.map(line)].join("\n")}\n`;
}
