// A classifier made of words: class names in prompt templates through a text tower (Radford et al. 2021, arXiv
// 2103.00020). Its logits are exp(logit_scale) times the cosine of picture and class, plus SigLIP's logit_bias.
import { unitRowsOf } from "../tensor/unit_rows.ts";
import { fillTemplates } from "../text/prompts.ts";
import type { TextTower } from "../text/types.ts";

export interface ZeroShotHead {
  /** [classes, E] row-major, each row of length exp(logit_scale); for features of length 1. */
  weight: Float32Array<ArrayBuffer>;
  /** The same for every class. */
  bias: Float32Array<ArrayBuffer>;
  classes: number;
}

/**
 * One row a class: the mean of its prompts' embeddings, made as long as exp(logit_scale).
 * @param onProgress layers of the tower done and layers in all; may throw to cancel
 */
export async function zeroShotHead(
  tower: TextTower,
  classes: readonly string[],
  templates: readonly string[],
  onProgress?: (done: number, total: number) => void,
): Promise<ZeroShotHead> {
  const size = tower.architecture.embeddingSize;
  const prompts = classes.flatMap((name) => fillTemplates(templates, name));
  const embeddings = await tower.embed(prompts, onProgress);
  const sums = new Float32Array(classes.length * size);
  embeddings.forEach((value, i) => {
    const prompt = Math.floor(i / size);
    const at = Math.floor(prompt / templates.length) * size + (i % size);
    sums[at] = (sums[at] as number) + value;
  });
  const weight = unitRowsOf(sums, size);
  for (let i = 0; i < weight.length; i++) weight[i] = (weight[i] as number) * tower.scale;
  return { weight, bias: new Float32Array(classes.length).fill(tower.bias), classes: classes.length };
}
