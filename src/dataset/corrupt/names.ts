// Which corruptions there are: plain names, so that a page can offer them without the code that makes them.

export type CorruptionFamily = "noise" | "blur" | "weather" | "digital" | "style";

export interface Corruption {
  name: string;
  family: CorruptionFamily;
  label: string;
  /** False where there is but one strength. */
  severities: boolean;
}

const families: Record<CorruptionFamily, Record<string, string>> = {
  noise: { "gaussian-noise": "Gaussian noise", "shot-noise": "Shot noise", "impulse-noise": "Impulse noise" },
  blur: {
    "defocus-blur": "Defocus",
    "glass-blur": "Frosted glass",
    "motion-blur": "Motion",
    "zoom-blur": "Zoom",
  },
  weather: { snow: "Snow", frost: "Frost", fog: "Fog", brightness: "Glare" },
  digital: { contrast: "Low contrast", elastic: "Elastic warp", pixelate: "Coarse pixels", jpeg: "JPEG" },
  style: { greyscale: "Greyscale", inverted: "Negative", posterised: "Four tones", drawing: "Line drawing" },
};

/** Every corruption there is, family by family. */
export const corruptions: readonly Corruption[] = Object.entries(families).flatMap(([family, names]) =>
  Object.entries(names).map(([name, label]) => ({
    name,
    family: family as CorruptionFamily,
    label,
    severities: family !== "style",
  })),
);
