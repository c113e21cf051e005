// Colours of runs, told apart from each other under every colour blindness as far as ten can be, on light and on dark.
import { colourCount } from "../state/runs_store.ts";

const COLOURS: readonly { light: string; dark: string; name: string }[] = [
  { light: "#3b5ac4", dark: "#92a9ef", name: "blue" },
  { light: "#c04a00", dark: "#ff9450", name: "orange" },
  { light: "#00785a", dark: "#3fcf9f", name: "green" },
  { light: "#a33b80", dark: "#e795c7", name: "pink" },
  { light: "#8a6a00", dark: "#f0c945", name: "yellow" },
  { light: "#0e7c9c", dark: "#67cfee", name: "cyan" },
  { light: "#7a4a2a", dark: "#d0a387", name: "brown" },
  { light: "#6d45b8", dark: "#b99af5", name: "violet" },
  { light: "#b3261e", dark: "#f0867f", name: "red" },
  { light: "#5b6472", dark: "#98a1b2", name: "grey" },
];

export const colourNames = COLOURS.map(({ name }) => name);

export function runColour(index: number, dark: boolean): string {
  const colour = COLOURS[index % colourCount] as (typeof COLOURS)[number];
  return dark ? colour.dark : colour.light;
}
