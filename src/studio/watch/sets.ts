// How image sets look wherever they are drawn: the target blue, OOD sets warm, retention green, told apart under
// every colour blindness (after Okabe and Ito), and apart from the heatmap by being lines and dots.
import type { Head, SetRole } from "../../session/protocol.ts";

const COLOURS: Record<SetRole, readonly { light: string; dark: string }[]> = {
  target: [{ light: "#0063a8", dark: "#5cb8f5" }],
  ood: [
    { light: "#c04a00", dark: "#ff9450" },
    { light: "#a33b80", dark: "#e795c7" },
    { light: "#8a6a00", dark: "#f0c945" },
    { light: "#7a4a2a", dark: "#d0a387" },
  ],
  retention: [
    { light: "#00785a", dark: "#3fcf9f" },
    { light: "#4a7a00", dark: "#a5d65a" },
  ],
};

/** Line colour of each set by id, in the order given; a role's colours repeat once they are used up. */
export function setColours(
  sets: readonly { id: string; role: SetRole }[],
  dark: boolean,
): ReadonlyMap<string, string> {
  const seen: Record<SetRole, number> = { target: 0, ood: 0, retention: 0 };
  return new Map(
    sets.map(({ id, role }) => {
      const choices = COLOURS[role];
      const colour = choices[seen[role]++ % choices.length]!;
      return [id, dark ? colour.dark : colour.light];
    }),
  );
}

/** What a role is called. */
export const roleNames: Record<SetRole, string> = { target: "Target", ood: "OOD", retention: "Retention" };

/** What answered for a set, where that needs saying; empty for the usual. */
export function judgeWords(role: SetRole, judge: Head): string {
  if (judge === "knn") return "by k-NN";
  if (judge === "zero-shot") return "zero-shot";
  return role !== "retention" && judge === "own" ? "by the model's own rows" : "";
}
