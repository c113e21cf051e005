// Puts a checkpoint's tensors on the device in the form the network computes with: q, k and v fused into one map,
// the prefix tokens stacked, the patch embedding a plain linear map over flattened patches.
import * as tf from "@tensorflow/tfjs-core";
import type { Architecture, Preprocessing, Role } from "../checkpoint/types.ts";
import type { EffectiveWeights, LayerWeights, LinearWeights, NormWeights, VitWeights } from "./types.ts";

/**
 * Reads every role of the architecture, one after the other, so that no more than one layer is held twice.
 * @param read a role's values as f32, row-major (`Checkpoint.read`); its Failure passes through, and what was
 *   already on the device is released
 */
export async function loadVit(
  architecture: Architecture,
  preprocessing: Pick<Preprocessing, "mean" | "std">,
  read: (role: Role) => Promise<Float32Array>,
): Promise<VitWeights> {
  const {
    hiddenSize: d,
    mlpSize: m,
    patchSize,
    imageSize,
    prefixTokens,
    qkvBias,
    labels,
    distillationHead,
  } = architecture;
  const patches = (imageSize / patchSize) ** 2;
  const made: tf.Tensor[] = [];
  const vector = async (role: Role, size: number) => {
    const tensor = tf.tensor1d(await read(role), "float32");
    made.push(tensor);
    if (tensor.size !== size) throw new Error(`${role} has ${tensor.size} values, expected ${size}`);
    return tensor;
  };
  const matrix = async (role: Role, rows: number, columns: number) => {
    const tensor = tf.tensor2d(await read(role), [rows, columns], "float32");
    made.push(tensor);
    return tensor;
  };
  const linear = async (name: string, out: number, input: number): Promise<LinearWeights> => ({
    weight: await matrix(`${name}.weight`, out, input),
    bias: await vector(`${name}.bias`, out),
  });
  const norm = async (name: string): Promise<NormWeights> => ({
    gamma: await vector(`${name}.weight`, d),
    beta: await vector(`${name}.bias`, d),
  });
  const stacked = async (roles: Role[]) => {
    const parts: Float32Array[] = [];
    for (const role of roles) parts.push(await read(role));
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  const fused = async (layer: number): Promise<LinearWeights> => {
    const names = ["q", "k", "v"].map((name) => `layer.${layer}.${name}`);
    const weight = tf.tensor2d(await stacked(names.map((name) => `${name}.weight`)), [3 * d, d], "float32");
    made.push(weight);
    if (!qkvBias) return { weight, bias: null };
    const bias = tf.tensor1d(await stacked(names.map((name) => `${name}.bias`)), "float32");
    made.push(bias);
    return { weight, bias };
  };

  try {
    const tokens = prefixTokens === 2 ? ["cls_token", "dist_token"] : ["cls_token"];
    const prefix = tf.tensor2d(await stacked(tokens), [prefixTokens, d], "float32");
    made.push(prefix);
    const pos = await matrix("pos_embed", prefixTokens + patches, d);
    const patchEmbed = await linear("patch_embed", d, 3 * patchSize * patchSize);
    const layers: LayerWeights[] = [];
    for (let i = 0; i < architecture.layers; i++) {
      layers.push({
        norm1: await norm(`layer.${i}.norm1`),
        qkv: await fused(i),
        o: await linear(`layer.${i}.o`, d, d),
        norm2: await norm(`layer.${i}.norm2`),
        fc1: await linear(`layer.${i}.fc1`, m, d),
        fc2: await linear(`layer.${i}.fc2`, d, m),
      });
    }
    const finalNorm = await norm("norm");
    const head = labels ? await linear("head", labels.length, d) : null;
    const headDist = labels && distillationHead ? await linear("head_dist", labels.length, d) : null;
    return {
      architecture,
      mean: preprocessing.mean,
      std: preprocessing.std,
      patchEmbed,
      prefix,
      pos,
      layers,
      norm: finalNorm,
      head,
      headDist,
      dispose: () => tf.dispose(made),
    };
  } catch (error) {
    tf.dispose(made);
    throw error;
  }
}

/** The network as it was loaded, for a forward pass without any adaptation. */
export function frozenWeights(weights: VitWeights): EffectiveWeights {
  return {
    weight: (layer, site) => (weights.layers[layer] as LayerWeights)[site].weight,
    dispose: () => {},
  };
}
