// How image sets look and what they are called wherever they are drawn: lines and dots, apart from the heatmap.
import type { Head, SetRole } from "../../session/protocol.ts";
import { colourPairs } from "../../set_colours.ts";

/** Line colour of each set by id, in the order given. */
export function setColours(
  sets: readonly { id: string; role: SetRole }[],
  dark: boolean,
): ReadonlyMap<string, string> {
  const pairs = colourPairs(sets.map(({ role }) => role));
  return new Map(sets.map(({ id }, i) => [id, pairs[i]![dark ? "dark" : "light"]]));
}

/** What a role is called. */
export const roleNames: Record<SetRole, string> = { target: "Target", ood: "OOD", retention: "Retention" };

/** What answered for a set, where that needs saying; empty for the usual. */
export function judgeWords(role: SetRole, judge: Head): string {
  if (judge === "knn") return "by k-NN";
  if (judge === "zero-shot") return "zero-shot";
  return role !== "retention" && judge === "own" ? "by the model's own rows" : "";
}
