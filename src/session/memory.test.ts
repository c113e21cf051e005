import { expect, test } from "vitest";
import type { Architecture } from "../checkpoint/types.ts";
import { estimateMemory } from "./memory.ts";
import { defaultRecipe } from "./recipe.ts";
import { checkRoom, roomOf } from "./room.ts";

/** ViT-B/16 at 224. */
const base: Architecture = {
  family: "hf-vit",
  imageSize: 224,
  patchSize: 16,
  hiddenSize: 768,
  layers: 12,
  heads: 12,
  mlpSize: 3072,
  activation: "gelu",
  layerNormEps: 1e-12,
  qkvBias: true,
  prefixTokens: 1,
  pooling: "cls",
  labels: null,
};
const tiny: Architecture = {
  ...base,
  imageSize: 16,
  patchSize: 4,
  hiddenSize: 24,
  layers: 2,
  heads: 3,
  mlpSize: 40,
};

test("a tiny network, counted by hand", () => {
  // 16 patches and one token, batch 4: 68 rows. Matrices: 4 x 24 x 24 + 2 x 24 x 40 = 4224 a layer.
  // Rank 2: 2 x (8 x 24 + 2 x 64) = 640 a layer, four times (value, gradient, two moments).
  // A row keeps 8 x 24 + 2 x 40 = 272 numbers a layer; in flight are 2 x 72. Images: 16 x 16 x 3, twice.
  const { bytes, parts } = estimateMemory(tiny, 10_000, { ...defaultRecipe, rank: 2, batch: 4 });
  expect(parts).toEqual([
    { label: "Frozen weights", bytes: 40_000 },
    { label: "Weights with adapters", bytes: 2 * 4224 * 4 },
    { label: "Adapters, gradients, optimiser", bytes: 2 * 640 * 4 * 4 },
    { label: "Activations", bytes: 2 * 68 * 272 * 4 },
    { label: "Gradients in flight", bytes: 2 * 68 * 72 * 4 },
    { label: "Images", bytes: 4 * 768 * 2 * 4 },
  ]);
  expect(bytes).toBe(40_000 + 33_792 + 20_480 + 147_968 + 39_168 + 24_576);
});

test("weights that lie as f16 pairs take two bytes each, and no other part changes", () => {
  const recipe = { ...defaultRecipe, rank: 2, batch: 4 };
  const whole = estimateMemory(tiny, 10_000, recipe);
  const halves = estimateMemory(tiny, 10_000, recipe, 2 * 4224);
  expect(halves.parts[0]).toEqual({ label: "Frozen weights", bytes: 40_000 - 2 * 2 * 4224 });
  expect(halves.parts.slice(1)).toEqual(whole.parts.slice(1));
  expect(whole.bytes - halves.bytes).toBe(2 * 2 * 4224);
});

test("what is not adapted costs no weights of its own", () => {
  const of = (targetModules: "both" | "attention" | "mlp", label: string) =>
    estimateMemory(tiny, 0, { ...defaultRecipe, rank: 2, targetModules }).parts.find(
      (part) => part.label === label,
    )?.bytes;
  expect(of("attention", "Weights with adapters")).toBe(2 * 4 * 24 * 24 * 4);
  expect(of("mlp", "Weights with adapters")).toBe(2 * 2 * 24 * 40 * 4);
  expect(of("attention", "Adapters, gradients, optimiser")).toBe(2 * 2 * 8 * 24 * 16);
  expect(of("mlp", "Adapters, gradients, optimiser")).toBe(2 * 2 * 2 * 64 * 16);
});

test("ViT-B/16 at batch 32 stays inside 6 GB, as designed for", () => {
  const { bytes } = estimateMemory(base, 86_567_656, { ...defaultRecipe, batch: 32 });
  expect(bytes).toBeLessThan(6e9);
  expect(bytes).toBeGreaterThan(3e9);
  const halves = 12 * (4 * 768 ** 2 + 2 * 768 * 3072);
  expect(bytes).toBe(4_640_189_344);
  expect(estimateMemory(base, 86_567_656, { ...defaultRecipe, batch: 32 }, halves).bytes).toBe(4_470_320_032);
});

test("whole matrices, a probe and a teacher are counted as what they are", () => {
  const of = (change: Partial<typeof defaultRecipe>) =>
    Object.fromEntries(
      estimateMemory(tiny, 0, { ...defaultRecipe, rank: 2, batch: 4, ...change }).parts.map(
        ({ label, bytes }) => [label, bytes],
      ),
    );
  const learned = "Adapters, gradients, optimiser";
  expect(of({ method: "taps" })[learned]).toBe(2 * 4224 * 5 * 4);
  // Beside the matrices: 3 x 16 x 24 of the patch map, 17 positions, and 9 x 24 + 40 numbers a layer.
  expect(of({ method: "full", targetModules: "mlp" })[learned]).toBe((2 * 4224 + 1152 + 408 + 512) * 5 * 4);
  // A magnitude for each row of the six matrices: 4 x 24 + 40 + 24.
  expect(of({ method: "dora" })[learned]).toBe(2 * (640 + 160) * 4 * 4);
  expect(of({ method: "linear" })).toMatchObject({ [learned]: 0, Activations: 0 });
  expect(of({ keep: 1 })["Frozen model's features"]).toBe(4 * 4 * 24 * 4);
  expect(of({})["Frozen model's features"]).toBeUndefined();
});

const iPhone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const android =
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36";
const computer =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36";

test("a telephone has a limit, smaller where there is little memory; a computer has none", () => {
  const gib = 2 ** 30;
  expect(roomOf({ userAgent: iPhone })).toBe(gib);
  expect(roomOf({ userAgent: android, deviceMemory: 8 })).toBe(0.75 * gib);
  expect(roomOf({ userAgent: android, deviceMemory: 2 })).toBe(0.5 * gib);
  expect(roomOf({ userAgent: android })).toBe(0.75 * gib);
  expect(roomOf({ userAgent: computer, deviceMemory: 2 })).toBe(null);
  expect(roomOf({})).toBe(null);
});

test("what does not fit a telephone is refused with what to do, and what fits is not", () => {
  const bytes = estimateMemory(base, 86_567_656, { ...defaultRecipe, batch: 32 }).bytes;
  expect(() => checkRoom(bytes, "bad-recipe", { userAgent: iPhone })).toThrow(/a telephone ends a page/);
  expect(() => checkRoom(bytes, "bad-recipe", { userAgent: computer })).not.toThrow();
  expect(() => checkRoom(4 * 304_000_000, "bad-model", { userAgent: iPhone })).toThrow(/1\.1 GB .* 1\.0 GB/);
  expect(() => checkRoom(4 * 22_000_000, "bad-model", { userAgent: android, deviceMemory: 2 })).not.toThrow();
});
