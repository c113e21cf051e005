// A network of any size with random weights, for tests of what depends on shapes alone.
import type { Architecture, Preprocessing, Role } from "../../checkpoint/types.ts";
import { random } from "../../random.ts";
import type { VitWeights } from "../types.ts";
import { loadVit } from "../weights.ts";

/** 16 patches and a class token, two heads of 16. */
export const smallArchitecture: Architecture = {
  family: "hf-vit",
  imageSize: 16,
  patchSize: 4,
  hiddenSize: 32,
  layers: 2,
  heads: 2,
  mlpSize: 64,
  activation: "gelu",
  layerNormEps: 1e-6,
  qkvBias: true,
  prefixTokens: 1,
  labels: null,
  pooling: "cls",
};

/** `rounded` is what becomes of each value before it is laid down, `halvesFrom` is `loadVit`'s. */
export function randomNetwork(
  change: Partial<Architecture> = {},
  {
    rounded = (value) => value,
    halvesFrom,
  }: { rounded?: (value: number) => number; halvesFrom?: number } = {},
): Promise<VitWeights> {
  const architecture = { ...smallArchitecture, ...change };
  const { hiddenSize: d, mlpSize: m, patchSize, imageSize, prefixTokens } = architecture;
  const stream = random(1);
  const fill = (size: number, scale: number, middle = 0) =>
    Float32Array.from({ length: size }, () => middle + scale * (stream.next() - 0.5));
  const tokens = prefixTokens + (imageSize / patchSize) ** 2;
  const statistics: Pick<Preprocessing, "mean" | "std"> = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  const read = async (role: Role) => {
    const isWeight = role.endsWith("weight");
    if (/norm/.test(role)) return fill(d, 0.1, isWeight ? 1 : 0);
    if (/pos/.test(role)) return fill(tokens * d, 0.1);
    if (/cls|prefix|dist/.test(role)) return fill(d, 0.1);
    if (/patch/.test(role)) return fill(isWeight ? 3 * patchSize ** 2 * d : d, 0.1);
    const out = /fc1/.test(role) ? m : d;
    return isWeight ? fill(out * (/fc2/.test(role) ? m : d), 2 / Math.sqrt(d)) : fill(out, 0.1);
  };
  return loadVit(architecture, statistics, async (role) => (await read(role)).map(rounded), halvesFrom);
}
