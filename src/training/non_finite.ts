// Finds where a number first stopped being finite, for the sentence that ends such a run.
import * as tf from "@tensorflow/tfjs-core";
import { siteMatrices } from "../adaptation/sites.ts";
import { linear } from "../tensor/linear.ts";
import { unitRows } from "../tensor/unit_rows.ts";
import { forward } from "../vit/forward.ts";
import type { KeptLayer, Site } from "../vit/types.ts";
import type { Learner } from "./step.ts";

/** What a layer keeps, in the order it is computed, and the op it comes from. */
const ops: readonly [keyof KeptLayer, string][] = [
  ["x", "the layer's input"],
  ["norm1", "the first LayerNorm"],
  ["qkv", "qkv"],
  ["attended", "attention"],
  ["middle", "o"],
  ["norm2", "the second LayerNorm"],
  ["u", "fc1"],
  ["h", "the activation function"],
];

/**
 * Looks at what has been learned and at every op of a forward pass on one image.
 * @param upload the image, [1 or more, H, W, 3]; freed here
 * @returns "layer 3, attention", or null where all is finite
 */
export async function findNonFinite(learner: Learner, upload: () => tf.Tensor4D): Promise<string | null> {
  const { weights, adaptation, head, pooling } = learner;
  for (const [i, parameter] of adaptation.parameters.entries()) {
    if (!(await allFinite(parameter)))
      return `what has been learned of ${inWords(adaptation.names[i] as string)}`;
  }
  const pixels = upload();
  const effective = adaptation.effective();
  const { features, kept } = forward(weights, { pixels }, effective, {
    pooling,
    keepFrom: { layer: 0, site: "entry" },
  });
  const seen = head.unit ? unitRows(features.pooled) : features.pooled.clone();
  const logits = linear(seen, head.weight, head.bias);
  try {
    for (const [layer, keep] of (kept?.layers ?? []).entries()) {
      for (const [name, op] of ops) {
        const tensor = keep?.[name];
        if (tensor && !(await allFinite(tensor))) return `layer ${layer}, ${op}`;
      }
    }
    if (!(await allFinite(features.pooled))) return "the last layer's fc2 or the pooling";
    return (await allFinite(logits)) ? null : "the classifier";
  } finally {
    kept?.dispose();
    features.dispose();
    effective.dispose();
    tf.dispose([pixels, seen, logits]);
  }
}

/** "layer.3.qkv.lora_B" as "layer 3, q, k, v (lora_B)". */
function inWords(name: string): string {
  const [, layer, site, part] = name.match(/^layer\.(\d+)\.(qkv|o|fc1|fc2)\.(\w+)$/) ?? [];
  if (!site) return name.replace(/^rest\./, "");
  return `layer ${layer}, ${siteMatrices[site as Site].join(", ")} (${part})`;
}

async function allFinite(tensor: tf.Tensor): Promise<boolean> {
  // Read and looked at here: a shader may take a NaN for what it likes.
  return (await tensor.data()).every(Number.isFinite);
}
