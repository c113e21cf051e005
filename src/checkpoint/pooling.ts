// What a classifier reads of the network: one row an image, out of the tokens that the last layer leaves. Every family
// has its own way, and a person may choose another one that the network can give.
import type { Architecture } from "./types.ts";

/**
 * `cls` the class token after the final norm · `projection` that, mapped into the space CLIP shares with text ·
 * `cls-mean` the class token beside the mean of the patches, after the final norm · `mean` the mean of the patches
 * after the final norm · `mean-norm` the final norm of their mean · `raw-mean` their mean without the norm ·
 * `attention` SigLIP's attention pool.
 */
export const poolings = [
  "cls",
  "projection",
  "cls-mean",
  "mean",
  "mean-norm",
  "raw-mean",
  "attention",
] as const;
export type Pooling = (typeof poolings)[number];

/** What each one is called and whose it is, in a line. */
export const poolingWords: Record<Pooling, { label: string; explanation: string }> = {
  cls: { label: "Class token", explanation: "The class token after the final norm, as ViT, DeiT and DINO." },
  projection: {
    label: "Class token, projected",
    explanation: "The class token mapped into the space that CLIP shares with its text tower.",
  },
  "cls-mean": {
    label: "Class token and mean",
    explanation: "The class token beside the mean of the patches, as DINOv2's linear classifier.",
  },
  mean: { label: "Mean of patches", explanation: "The mean of the patches after the final norm." },
  "mean-norm": {
    label: "Mean, then norm",
    explanation: "The final norm of the patches' mean, as timm's fc_norm.",
  },
  "raw-mean": {
    label: "Mean before the norm",
    explanation: "The mean of the patches without the final norm, as CLIPForImageClassification.",
  },
  attention: {
    label: "Attention pool",
    explanation: "SigLIP's own head: a learned query looks at all patches.",
  },
};

type Shape = Pick<
  Architecture,
  "hiddenSize" | "prefixTokens" | "registers" | "projectionSize" | "attentionPool"
>;

/** Every pooling this network can give. */
export function poolingsOf(architecture: Shape): Pooling[] {
  const { prefixTokens, registers = 0, projectionSize, attentionPool } = architecture;
  return poolings.filter((pooling) => {
    if (pooling === "projection") return projectionSize !== undefined;
    if (pooling === "attention") return attentionPool !== undefined;
    return prefixTokens > registers || (pooling !== "cls" && pooling !== "cls-mean");
  });
}

/** Numbers a classifier reads of an image. */
export function featureSize(architecture: Shape, pooling: Pooling): number {
  if (pooling === "cls-mean") return 2 * architecture.hiddenSize;
  if (pooling === "projection") return architecture.projectionSize ?? 0;
  return architecture.hiddenSize;
}

/** The pooling whose features are compared with a text tower's; null where the network has no such space. */
export function textSpacePooling(architecture: Shape): Pooling | null {
  if (architecture.projectionSize !== undefined) return "projection";
  return architecture.attentionPool ? "attention" : null;
}
