// Colour scale of the heatmap and the timeline: one sequential table, even in lightness, so that it survives colour
// blindness and grey print. On a light page more is darker, on a dark page more is brighter.

/** Stops at equal distances, lightness rising evenly from 0.25 to 0.95 (Oklab), hue from indigo over teal to yellow. */
const STOPS: readonly string[] = [
  "#291345",
  "#302171",
  "#163f8e",
  "#055f89",
  "#0b798a",
  "#17938b",
  "#3aac83",
  "#6ec272",
  "#aad259",
  "#e1df5d",
  "#fef0a9",
];

export type Rgb = readonly [red: number, green: number, blue: number];

/** How many colours are told apart; a score that moves less than one level redraws nothing. */
export const LEVELS = 64;

function parse(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function toHex([red, green, blue]: Rgb): string {
  return `#${((red << 16) | (green << 8) | blue).toString(16).padStart(6, "0")}`;
}

/** Straight mix of two colours, `share` of the second, 0 to 1. */
export function mix(first: Rgb, second: Rgb, share: number): Rgb {
  const channel = (i: 0 | 1 | 2) => Math.round(first[i] + (second[i] - first[i]) * share);
  return [channel(0), channel(1), channel(2)];
}

function at(fraction: number, dark: boolean): Rgb {
  const clamped = Math.min(1, Math.max(0, fraction));
  const position = (dark ? clamped : 1 - clamped) * (STOPS.length - 1);
  const index = Math.min(STOPS.length - 2, Math.floor(position));
  return mix(parse(STOPS[index]!), parse(STOPS[index + 1]!), position - index);
}

function table(dark: boolean): Rgb[] {
  return Array.from({ length: LEVELS }, (_, level) => at(level / (LEVELS - 1), dark));
}

const light = table(false);
const night = table(true);
const hexes = { light: light.map(toHex), night: night.map(toHex) };
const inks = { light: light.map(inkOn), night: night.map(inkOn) };

/** The `LEVELS` colours from least to most, for canvases. */
export function levelColours(dark: boolean): readonly Rgb[] {
  return dark ? night : light;
}

/** Fill of a cell as `#rrggbb`. */
export function levelFill(level: number, dark: boolean): string {
  return (dark ? hexes.night : hexes.light)[level]!;
}

/** Text colour that reads on `levelFill`, at 4.5 : 1 or better. */
export function levelInk(level: number, dark: boolean): string {
  return (dark ? inks.night : inks.light)[level]!;
}

/** Relative luminance, 0 to 1 (WCAG 2.2). */
export function luminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio of two luminances, 1 to 21 (WCAG 2.2). */
export function contrast(first: number, second: number): number {
  return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
}

function inkOn(colour: Rgb): string {
  const ground = luminance(colour);
  return contrast(ground, 0) >= contrast(ground, 1) ? "#000000" : "#ffffff";
}

/** Legend bar as a CSS gradient, from least to most. */
export function gradient(dark: boolean): string {
  const stops = dark ? STOPS : STOPS.toReversed();
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** A scale from 0 to `max`. Square root for quantities that span magnitudes, so that small ones are told apart. */
export interface Scale {
  max: number;
  curve: "linear" | "sqrt";
}

/** Where a value lies on a scale, 0 to 1; what is below 0 or not a number is 0. */
export function fractionOf(value: number, scale: Scale): number {
  if (!(value > 0)) return 0;
  const fraction = Math.min(1, value / scale.max);
  return scale.curve === "sqrt" ? Math.sqrt(fraction) : fraction;
}

/** Colour level of a value, 0 to LEVELS - 1. */
export function levelOf(value: number, scale: Scale): number {
  return Math.round(fractionOf(value, scale) * (LEVELS - 1));
}

/** The next round number (1, 2, 3, 4, 5 or 8 times a power of ten) at or above `value`, so that scales rarely move. */
export function roundUp(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const factor of [1, 2, 3, 4, 5, 8, 10]) {
    const candidate = factor * power;
    if (candidate >= value * (1 - 1e-6)) return candidate;
  }
  return 10 * power;
}
