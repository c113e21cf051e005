// Puts a checkpoint's tensors on the device in the form the network computes with: q, k and v fused into one map,
// the prefix tokens stacked, the patch embedding a plain linear map over flattened patches.
import * as tf from "@tensorflow/tfjs-core";
import { featureSize } from "../checkpoint/pooling.ts";
import type { Architecture, Preprocessing, Role } from "../checkpoint/types.ts";
import { frozenMatrix } from "../tensor/frozen_matrix.ts";
import { axialTurns } from "../tensor/rope.ts";
import type {
  AttentionPoolWeights,
  EffectiveWeights,
  LayerWeights,
  LinearWeights,
  NormWeights,
  VitWeights,
} from "./types.ts";

/** Bytes of the layers' matrices as f32 from which a GPU is spared the half of them that f16 can spare. */
const largeMatrices = 128 * 2 ** 20;

/**
 * Whether the layers' matrices may lie on a GPU as f16 pairs, each where its values fit them (`fitsHalves`). Those of a
 * small network save little.
 * @param from bytes as f32 that make a network a large one
 */
export function mayBeHalves(
  { hiddenSize: d, mlpSize: m, layers, gatedMlp }: Architecture,
  from = largeMatrices,
): boolean {
  const numbers = layers * (4 * d * d + (gatedMlp ? 3 : 2) * m * d);
  return d % 4 === 0 && m % 4 === 0 && 4 * numbers >= from;
}

/** The roles that are laid down as one matrix, for each matrix of the layers. */
export function layerMatrices({ layers }: Architecture): Role[][] {
  return Array.from({ length: layers }, (_, i) =>
    [["q", "k", "v"], ["o"], ["fc1"], ["fc2"]].map((names) =>
      names.map((name) => `layer.${i}.${name}.weight`),
    ),
  ).flat();
}

/**
 * Reads every role of the architecture, one after the other, so that no more than one layer is held twice.
 * @param read a role's values as f32, row-major (`Checkpoint.read`); its Failure passes through, and what was
 *   already on the device is released
 * @param halvesFrom as `from` of `mayBeHalves`; for tests and measurements
 */
export async function loadVit(
  architecture: Architecture,
  preprocessing: Pick<Preprocessing, "mean" | "std">,
  read: (role: Role) => Promise<Float32Array>,
  halvesFrom?: number,
): Promise<VitWeights> {
  const {
    hiddenSize: d,
    mlpSize: m,
    patchSize,
    imageSize,
    prefixTokens,
    registers = 0,
    projectionSize,
    attentionPool,
    pooling,
    qkvBias,
    layerScale,
    gatedMlp,
    ropeBase,
    labels,
    distillationHead,
  } = architecture;
  const side = imageSize / patchSize;
  const patches = side ** 2;
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
  const halves = mayBeHalves(architecture, halvesFrom);
  const ofLayer = (values: Float32Array, out: number, input: number) => {
    const tensor = halves ? frozenMatrix(values, [out, input]) : tf.tensor2d(values, [out, input], "float32");
    made.push(tensor);
    return tensor;
  };
  const site = async (name: string, out: number, input: number): Promise<LinearWeights> => ({
    weight: ofLayer(await read(`${name}.weight`), out, input),
    bias: await vector(`${name}.bias`, out),
  });
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
    const weight = ofLayer(await stacked(names.map((name) => `${name}.weight`)), 3 * d, d);
    if (!qkvBias) return { weight, bias: null };
    const bias = tf.tensor1d(await stacked(names.map((name) => `${name}.bias`)), "float32");
    made.push(bias);
    return { weight, bias };
  };
  const poolHead = async (mlpSize: number): Promise<AttentionPoolWeights> => {
    const part = (name: string) => read(`attention_pool.${name}`);
    const keys = tf.tensor2d(
      probeKeys(
        await part("probe"),
        await part("q.weight"),
        await part("q.bias"),
        await part("k.weight"),
        architecture.heads,
      ),
      [architecture.heads, d],
    );
    made.push(keys);
    const value = await linear("attention_pool.v", d, d);
    return {
      maps: { keys, value: value.weight, valueBias: value.bias as tf.Tensor1D },
      o: await linear("attention_pool.o", d, d),
      norm: await norm("attention_pool.norm"),
      fc1: await linear("attention_pool.fc1", mlpSize, d),
      fc2: await linear("attention_pool.fc2", d, mlpSize),
    };
  };

  try {
    const tokens = [
      ...["cls_token", "dist_token"].slice(0, prefixTokens - registers),
      ...(registers > 0 ? ["register_tokens"] : []),
    ];
    const prefix = tf.tensor2d(await stacked(tokens), [prefixTokens, d], "float32");
    made.push(prefix);
    const pos = await matrix("pos_embed", prefixTokens + patches, d);
    const patchEmbed = await linear("patch_embed", d, 3 * patchSize * patchSize);
    const turns =
      ropeBase === undefined
        ? null
        : tf.tensor2d(axialTurns(side, ropePeriods(architecture, ropeBase)), [
            patches,
            d / architecture.heads,
          ]);
    if (turns) made.push(turns);
    const scale = async (role: Role) => (layerScale ? vector(role, d) : null);
    const preNorm = architecture.preNorm ? await norm("pre_norm") : null;
    const layers: LayerWeights[] = [];
    for (let i = 0; i < architecture.layers; i++) {
      layers.push({
        norm1: await norm(`layer.${i}.norm1`),
        qkv: await fused(i),
        o: await site(`layer.${i}.o`, d, d),
        scale1: await scale(`layer.${i}.scale1`),
        norm2: await norm(`layer.${i}.norm2`),
        fc1: await site(`layer.${i}.fc1`, gatedMlp ? 2 * m : m, d),
        fc2: await site(`layer.${i}.fc2`, d, m),
        scale2: await scale(`layer.${i}.scale2`),
      });
    }
    const finalNorm = await norm("norm");
    const projection = projectionSize ? await matrix("projection.weight", projectionSize, d) : null;
    const pooled = attentionPool ? await poolHead(attentionPool.mlpSize) : null;
    const features = featureSize(architecture, pooling);
    const head = labels ? await linear("head", labels.length, features) : null;
    const headDist = labels && distillationHead ? await linear("head_dist", labels.length, d) : null;
    return {
      architecture,
      mean: preprocessing.mean,
      std: preprocessing.std,
      patchEmbed,
      prefix,
      pos,
      turns,
      preNorm,
      layers,
      norm: finalNorm,
      projection,
      attentionPool: pooled,
      head,
      headDist,
      dispose: () => tf.dispose(made),
    };
  } catch (error) {
    tf.dispose(made);
    throw error;
  }
}

/** Each head's frozen query taken through its key map, over sqrt(head size): [heads, D], summed in f64. */
function probeKeys(
  probe: Float32Array,
  queryWeight: Float32Array,
  queryBias: Float32Array,
  keyWeight: Float32Array,
  heads: number,
): Float32Array {
  const d = probe.length;
  const size = d / heads;
  const keys = new Float32Array(heads * d);
  const sums = new Float64Array(d);
  for (let head = 0; head < heads; head++) {
    sums.fill(0);
    for (let row = head * size; row < (head + 1) * size; row++) {
      let query = queryBias[row]!;
      for (let i = 0; i < d; i++) query += queryWeight[row * d + i]! * probe[i]!;
      for (let i = 0; i < d; i++) sums[i]! += query * keyWeight[row * d + i]!;
    }
    for (let i = 0; i < d; i++) keys[head * d + i] = sums[i]! / Math.sqrt(size);
  }
  return keys;
}

/** The network as it was loaded, for a forward pass without any adaptation. */
export function frozenWeights(weights: VitWeights): EffectiveWeights {
  return {
    weight: (layer, site) => (weights.layers[layer] as LayerWeights)[site].weight,
    dispose: () => {},
  };
}

/** Periods of an axis's pairs: base^(4k / head size) (DINOv3, arXiv 2508.10104). */
function ropePeriods({ hiddenSize, heads }: Architecture, base: number): number[] {
  const quarter = hiddenSize / heads / 4;
  return Array.from({ length: quarter }, (_, k) => base ** (k / quarter));
}
