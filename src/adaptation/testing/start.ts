// Puts given A, B and scores into an adaptation, for tests that start where PyTorch started.
import type { Adaptation, Matrix } from "../types.ts";

const matricesOf: Record<string, Matrix[]> = { qkv: ["q", "k", "v"], o: ["o"], fc1: ["fc1"], fc2: ["fc2"] };

/** Joins per-matrix values (A and B stack alike) into a site's tensor. */
export function stackPieces(
  layer: number,
  site: string,
  part: "lora_A" | "lora_B",
  values: (name: string) => Float32Array,
): Float32Array {
  const parts = (matricesOf[site] as Matrix[]).map((matrix) => values(`layer.${layer}.${matrix}.${part}`));
  return Float32Array.from(parts.flatMap((piece) => [...piece]));
}

/** @param values by per-matrix name, `layer.0.q.lora_A`; null leaves the tensor as it is */
export async function startFrom(
  adaptation: Adaptation,
  values: (name: string) => Float32Array | null,
  scores?: ArrayLike<number>,
): Promise<void> {
  const snapshot = await adaptation.snapshot();
  for (const { layer, site } of adaptation.sites) {
    for (const part of ["lora_A", "lora_B"] as const) {
      const first = values(`layer.${layer}.${(matricesOf[site] as Matrix[])[0]}.${part}`);
      if (!first) continue;
      const data = stackPieces(layer, site, part, (name) => values(name) as Float32Array);
      snapshot.tensors[`layer.${layer}.${site}.${part}`]!.data = data;
    }
  }
  if (scores) snapshot.tensors.scores!.data = Float32Array.from(scores);
  adaptation.restore(snapshot);
}
