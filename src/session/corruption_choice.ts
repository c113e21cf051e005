// Which corruptions of the target are measured: what there is to choose from, and what is chosen unless a person does.
export { type Corruption, type CorruptionFamily, corruptions } from "../dataset/corrupt/names.ts";

export interface CorruptionChoice {
  names: string[];
  /** 1 to 5, for all of them; shifts of style have none. */
  severity: number;
}

/** One of each family, so that it is affordable. */
export const defaultCorruptions: CorruptionChoice = {
  names: ["gaussian-noise", "defocus-blur", "fog", "jpeg", "greyscale"],
  severity: 3,
};
