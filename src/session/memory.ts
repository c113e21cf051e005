// How much device memory a run will take, computed from shapes before anything is allocated.
import type { Architecture } from "../checkpoint/types.ts";
import type { MemoryEstimate } from "./protocol.ts";
import type { Recipe } from "./recipe.ts";

const F32 = 4;

/**
 * Peak device memory of a training step, in bytes. Counted: frozen weights, weights formed for open blocks,
 * adapters with gradient and two AdamW moments, and what a layer keeps for backward: the inputs of its two
 * LayerNorms and four linear maps, qkv, and the MLP's pre-activation, (1+1+3+1+1+1)·D + 2·M numbers a token.
 * @param parameters numbers in the checkpoint
 */
export function estimateMemory(
  architecture: Architecture,
  parameters: number,
  recipe: Recipe,
): MemoryEstimate {
  const { hiddenSize: D, mlpSize: M, layers, imageSize, patchSize, prefixTokens } = architecture;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = recipe.batch * (patches + prefixTokens);
  const attention = recipe.targetModules !== "mlp";
  const mlp = recipe.targetModules !== "attention";
  const adapted = (attention ? 4 * D * D : 0) + (mlp ? 2 * D * M : 0);
  const lora = recipe.rank * ((attention ? 8 * D : 0) + (mlp ? 2 * (D + M) : 0));
  // Two gradients the size of the widest activation are alive at once while backward passes a layer.
  const transient = 2 * tokens * Math.max(3 * D, M) * F32;
  const parts = [
    { label: "Frozen weights", bytes: parameters * F32 },
    { label: "Weights with adapters", bytes: layers * adapted * F32 },
    { label: "Adapters, gradients, optimiser", bytes: layers * lora * 4 * F32 },
    { label: "Activations", bytes: layers * tokens * (8 * D + 2 * M) * F32 },
    { label: "Gradients in flight", bytes: transient },
    { label: "Images", bytes: recipe.batch * imageSize ** 2 * 3 * 2 * F32 },
  ];
  return { bytes: parts.reduce((sum, part) => sum + part.bytes, 0), parts };
}
