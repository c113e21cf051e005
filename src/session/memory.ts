// How much device memory a run will take, computed from shapes before anything is allocated.
import { traitsOf } from "../adaptation/methods.ts";
import type { Architecture } from "../checkpoint/types.ts";
import type { MemoryEstimate } from "./protocol.ts";
import type { Recipe } from "./recipe.ts";

const F32 = 4;
const F16 = 2;

/**
 * Peak device memory of a training step, in bytes. Counted: frozen weights; weights formed for open blocks; what is
 * learned, with gradient and two AdamW moments (of whole matrices the gradient twice, as it is summed up on a GPU in
 * parts); and what a layer keeps for backward: the inputs of its two LayerNorms and four linear maps, qkv, and the MLP's
 * pre-activation, (1+1+3+1+1+1)·D + 2·M numbers a token (3·M where the MLP is gated). A linear probe keeps nothing for
 * backward. Images that the network is kept near go through it one batch after the other, so that they cost time and no
 * activations; what the frozen network says of a batch is the width of its features.
 * @param parameters numbers in the checkpoint
 * @param halves those of them that lie on the device as f16 pairs
 */
export function estimateMemory(
  architecture: Architecture,
  parameters: number,
  recipe: Recipe,
  halves = 0,
): MemoryEstimate {
  const { hiddenSize: D, mlpSize: M, layers, imageSize, patchSize, prefixTokens, gatedMlp } = architecture;
  const { change, everything } = traitsOf(recipe.method);
  const fc1 = gatedMlp ? 2 * M : M;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = recipe.batch * (patches + prefixTokens);
  const learns = change !== "nothing";
  const attention = learns && (everything || recipe.targetModules !== "mlp");
  const mlp = learns && (everything || recipe.targetModules !== "attention");
  const adapted = (attention ? 4 * D * D : 0) + (mlp ? D * (fc1 + M) : 0);
  const lora = recipe.rank * ((attention ? 8 * D : 0) + (mlp ? 2 * D + fc1 + M : 0));
  const rows = (attention ? 4 * D : 0) + (mlp ? fc1 + D : 0);
  const learned = { "low-rank": lora, dora: lora + rows, residual: adapted, nothing: 0 }[change];
  // Biases, norms and embeddings: the patch map, a position a token, and the vectors of a layer.
  const rest = everything
    ? 3 * patchSize ** 2 * D + (patches + prefixTokens) * D + layers * (9 * D + fc1)
    : 0;
  const copies = change === "residual" ? 5 : 4;
  // Two gradients the size of the widest activation are alive at once while backward passes a layer; a forward pass
  // without one has one such activation and what it is made of.
  const transient = 2 * tokens * Math.max(3 * D, fc1) * F32;
  const said =
    recipe.keep > 0 && learns
      ? [{ label: "Frozen model's features", bytes: 4 * recipe.batch * D * F32 }]
      : [];
  const parts = [
    { label: "Frozen weights", bytes: (parameters - halves) * F32 + halves * F16 },
    { label: "Weights with adapters", bytes: (layers * adapted + rest) * F32 },
    { label: "Adapters, gradients, optimiser", bytes: (layers * learned + rest) * copies * F32 },
    { label: "Activations", bytes: learns ? layers * tokens * (8 * D + fc1 + M) * F32 : 0 },
    { label: "Gradients in flight", bytes: transient },
    { label: "Images", bytes: recipe.batch * imageSize ** 2 * 3 * 2 * F32 },
    ...said,
  ];
  return { bytes: parts.reduce((sum, part) => sum + part.bytes, 0), parts };
}
