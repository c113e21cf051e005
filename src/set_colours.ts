// The colours of image sets, the same in the studio, on its list of runs and in reports: the target blue, OOD sets warm,
// retention green, told apart under every colour blindness (after Okabe and Ito).

export type ColouredRole = "target" | "ood" | "retention";

export interface ColourPair {
  light: string;
  dark: string;
}

export const setPalette: Record<ColouredRole, readonly ColourPair[]> = {
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

/** A colour for each set, in the order given; a role's colours repeat once they are used up. */
export function colourPairs(roles: readonly ColouredRole[]): ColourPair[] {
  const seen: Record<ColouredRole, number> = { target: 0, ood: 0, retention: 0 };
  return roles.map((role) => setPalette[role][seen[role]++ % setPalette[role].length] as ColourPair);
}
