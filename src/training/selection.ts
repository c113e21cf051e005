// Which gates a run keeps open, where that is not learned: what ranks them, and when that is measured. Fixed ranks stand
// from the start; measured ones are taken anew whenever the budget closes one more gate, so that what has been learned up
// to then decides. |<dL/dW, ΔW>|, summed up over every step, the adaptation keeps itself.
import type * as tf from "@tensorflow/tfjs-core";
import { traitsOf } from "../adaptation/methods.ts";
import { random, seedFor } from "../random.ts";
import { inTurns } from "../turn.ts";
import { forwardInParts } from "../vit/forward.ts";
import type { Kept, KeptLayer, Site } from "../vit/types.ts";
import type { Learner } from "./step.ts";
import type { TrainingRecipe } from "./types.ts";

/** Images that gates' outputs are measured on. */
const sample = 16;

/** The selection that counts: gates that are always open, or that draw noise, know no other than their own. */
function selectionOf({ method, select = "learned" }: Pick<TrainingRecipe, "method" | "select">) {
  return traitsOf(method).gates === "indicator" ? select : "learned";
}

/** What ranks the gates from the start, the highest first to stay; null where that is learned or measured. */
export function fixedRanks(
  recipe: Pick<TrainingRecipe, "method" | "select" | "seed">,
  gates: number,
): Float32Array | null {
  const inOrder = Float32Array.from({ length: gates }, (_, i) => (i + 1) / gates);
  switch (selectionOf(recipe)) {
    case "first":
      return inOrder.reverse();
    case "last":
      return inOrder;
    case "random":
      return Float32Array.from(random(seedFor(recipe.seed, "select")).shuffle([...inOrder]));
    default:
      return null;
  }
}

/**
 * What ranks the gates as the network stands: ‖ΔW‖_F, or the mean of ‖ΔW x‖ over tokens of some training images
 * (LoRA-drop, arXiv 2402.07721); null where nothing is measured.
 * @param upload that many training images as they are, [count, H, W, 3]; freed here
 */
export async function measuredRanks(
  { weights, pooling, adaptation, recipe }: Learner,
  upload: (count: number) => Promise<tf.Tensor4D>,
): Promise<Float32Array | null> {
  const select = selectionOf(recipe);
  if (select === "magnitude") return adaptation.changeNorms();
  if (select !== "output") return null;
  const pixels = await upload(sample);
  const effective = adaptation.effective();
  const { features, kept } = await inTurns(
    forwardInParts(weights, { pixels }, effective, { pooling, keepFrom: { layer: 0, site: "entry" } }),
  );
  try {
    return await adaptation.outputNorms((layer, site) => inputOf(kept as Kept, layer, site));
  } finally {
    kept?.dispose();
    features.dispose();
    effective.dispose();
    pixels.dispose();
  }
}

const names: Record<Site, keyof KeptLayer> = { qkv: "norm1", o: "oInput", fc1: "norm2", fc2: "h" };

function inputOf({ layers }: Kept, layer: number, site: Site): tf.Tensor2D {
  return layers[layer]?.[names[site]] as tf.Tensor2D;
}
