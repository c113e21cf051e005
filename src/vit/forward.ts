// The network forwards, op by op: pixels to the features a classifier reads. Where only the class token is pooled,
// everything after the last layer's attention is computed for its rows alone.
import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../tensor/attention.ts";
import { gelu } from "../tensor/gelu.ts";
import { layerNorm } from "../tensor/layer_norm.ts";
import { layerScale } from "../tensor/layer_scale.ts";
import { linear, linearGelu } from "../tensor/linear.ts";
import { addTokens, patchify, takeToken } from "../tensor/patch_embed.ts";
import { rotate } from "../tensor/rope.ts";
import { swiglu } from "../tensor/swiglu.ts";
import { atOnce, type InParts } from "../turn.ts";
import { pool, readsClassTokenOnly } from "./pooling.ts";
import type {
  EffectiveWeights,
  Features,
  ForwardInput,
  ForwardOptions,
  ForwardResult,
  KeptLayer,
  LayerWeights,
  Position,
  Site,
  VitWeights,
} from "./types.ts";
import { frozenWeights } from "./weights.ts";

const siteOrder = { entry: 0, qkv: 1, o: 2, fc1: 3, fc2: 4 } as const;

/** Negative when `a` is met before `b` in the forward pass, 0 when they are the same place. */
export function comparePositions(a: Position, b: Position): number {
  return a.layer - b.layer || siteOrder[a.site] - siteOrder[b.site];
}

/** Tokens of one image: prefix and patches. */
export function tokensPerImage(weights: VitWeights): number {
  return weights.pos.shape[0];
}

/**
 * Pixels [batch, H, W, 3] in 0..255 to the activation [batch·tokens, D] that enters layer 0, after the norm that some
 * families have there; the caller disposes it.
 */
export function embed(weights: VitWeights, pixels: tf.Tensor4D): tf.Tensor2D {
  const tokens = embedTokens(weights, pixels);
  if (!weights.preNorm) return tokens;
  const { gamma, beta } = weights.preNorm;
  const normed = layerNorm(tokens, gamma, beta, weights.architecture.layerNormEps);
  tokens.dispose();
  return normed;
}

/** The tokens [batch·tokens, D] before that norm; the caller disposes them. */
export function embedTokens(weights: VitWeights, pixels: tf.Tensor4D): tf.Tensor2D {
  const flat = patchify(pixels, weights.mean, weights.std, weights.architecture.patchSize);
  const patches = linear(flat, weights.patchEmbed.weight, weights.patchEmbed.bias);
  const tokens = addTokens(patches, weights.prefix, weights.pos, pixels.shape[0]);
  tf.dispose([flat, patches]);
  return tokens;
}

/** The activation [batch·tokens, D] that enters layer `layer`, for caching; the caller disposes it. */
export const entryOf = (...asked: Parameters<typeof entryInParts>): tf.Tensor2D =>
  atOnce(entryInParts(...asked));

/** `entryOf`, half a layer at a time. */
export function* entryInParts(
  frozen: VitWeights,
  pixels: tf.Tensor4D,
  effective: EffectiveWeights | null,
  layer: number,
): InParts<tf.Tensor2D> {
  const weights = effective?.network ?? frozen;
  const standing = effective ?? frozenWeights(weights);
  let x = embed(weights, pixels);
  let whole = false;
  try {
    for (let i = 0; i < layer; i++) {
      yield;
      const next = yield* wholeLayer(weights, i, x, pixels.shape[0], standing, null);
      x.dispose();
      x = next;
    }
    whole = true;
    return x;
  } finally {
    if (!whole) x.dispose();
  }
}

/**
 * From pixels, or from the activation that enters a layer (which stays the caller's), to features.
 * @param effective the weights that stand at the sites; null for the frozen ones
 * @returns features, and with `keepFrom` what backward needs; the caller disposes both (backward disposes what it used)
 */
export const forward = (...asked: Parameters<typeof forwardInParts>): ForwardResult =>
  atOnce(forwardInParts(...asked));

/** `forward`, half a layer at a time: a large batch takes seconds on a CPU, and whoever wants to stop it is heard between. */
export function* forwardInParts(
  frozen: VitWeights,
  input: ForwardInput,
  effective: EffectiveWeights | null,
  options: ForwardOptions = {},
): InParts<ForwardResult> {
  const weights = effective?.network ?? frozen;
  const standing = effective ?? frozenWeights(weights);
  const {
    pooling = weights.architecture.pooling,
    keepFrom = null,
    keepInput = () => true,
    dist = false,
    onEntry,
  } = options;
  const { layers: depth, layerNormEps: eps } = weights.architecture;
  const start = "pixels" in input ? 0 : input.layer;
  const batch = "pixels" in input ? input.pixels.shape[0] : input.batch;
  const given = "pixels" in input ? null : input.entry;
  let x = "pixels" in input ? embed(weights, input.pixels) : input.entry;

  const kept: (KeptLayer | null)[] = [];
  let below = false;
  try {
    for (let i = start; i < depth - 1; i++) {
      yield;
      onEntry?.(i, x);
      const keep = keepFrom === null ? null : keeperFor(i, keepFrom, keepInput);
      if (keep) kept[i] = keep.layer;
      const next = yield* wholeLayer(weights, i, x, batch, standing, keep);
      // The caller's entry is only ever kept as a copy-free clone, so that disposing stays one rule.
      if (keep?.wants("x")) keep.layer.x = x === given ? x.clone() : x;
      else if (x !== given) x.dispose();
      x = next;
    }
    yield;
    below = true;
  } finally {
    if (!below) {
      if (x !== given) x.dispose();
      for (const layer of kept) if (layer) releaseLayer(layer);
    }
  }

  const top = depth - 1;
  onEntry?.(top, x);
  const keep = keepFrom === null ? null : keeperFor(top, keepFrom, keepInput);
  const attended = attend(weights, top, x, batch, standing, keep);
  const last = readsClassTokenOnly(pooling)
    ? tokenTail(weights, top, x, attended, batch, 0, standing, keep)
    : allTail(weights, top, x, attended, standing, keep);
  const pooled = pool(weights, pooling, last, batch);
  let distFeatures: tf.Tensor2D | null = null;
  if (dist && weights.architecture.prefixTokens === 2) {
    const row = tokenTail(weights, top, x, attended, batch, 1, standing, null);
    distFeatures = layerNorm(row, weights.norm.gamma, weights.norm.beta, eps);
    row.dispose();
  }
  if (keep) kept[top] = keep.layer;
  if (keep?.wants("attended")) keep.layer.attended = attended;
  else attended.dispose();
  if (keep?.wants("x")) keep.layer.x = x === given ? x.clone() : x;
  else if (x !== given) x.dispose();

  const features: Features = {
    pooled,
    dist: distFeatures,
    dispose: () => tf.dispose(distFeatures ? [pooled, distFeatures] : [pooled]),
  };
  if (keepFrom === null) {
    last.dispose();
    return { features, kept: null };
  }
  return {
    features,
    kept: {
      from: keepFrom,
      batch,
      pooling,
      layers: kept,
      last,
      dispose: () => {
        last.dispose();
        for (const layer of kept) if (layer) releaseLayer(layer);
      },
    },
  };
}

/** Disposes whatever a layer still keeps. */
export function releaseLayer(layer: KeptLayer): void {
  for (const name of Object.keys(layer) as (keyof KeptLayer)[]) {
    layer[name]?.dispose();
    layer[name] = null;
  }
}

interface Keeper {
  layer: KeptLayer;
  wants(name: keyof KeptLayer): boolean;
}

/** What backward will ask of a layer when it ends at `from`: the gradient of a place needs the activations above it. */
function keeperFor(
  layer: number,
  from: Position,
  keepInput: (layer: number, site: Site) => boolean,
): Keeper | null {
  const reached = (site: Site | "entry") => comparePositions({ layer, site }, from) >= 0;
  if (!reached("fc2")) return null;
  const needs: Record<keyof KeptLayer, boolean> = {
    x: reached("entry"),
    norm1: reached("qkv") && keepInput(layer, "qkv"),
    qkv: reached("qkv"),
    attended: reached("qkv"),
    oInput: reached("o") && keepInput(layer, "o"),
    middle: reached("o"),
    norm2: reached("fc1") && keepInput(layer, "fc1"),
    u: reached("fc1"),
    h: keepInput(layer, "fc2"),
  };
  return {
    layer: {
      x: null,
      norm1: null,
      qkv: null,
      attended: null,
      oInput: null,
      middle: null,
      norm2: null,
      u: null,
      h: null,
    },
    wants: (name) => needs[name],
  };
}

function settle(keep: Keeper | null, name: keyof KeptLayer, tensor: tf.Tensor2D): void {
  if (keep?.wants(name)) keep.layer[name] = tensor;
  else tensor.dispose();
}

/** LayerNorm, qkv and attention of one layer: [T, D] -> [T, D]. The caller owns the result and keeps or disposes it. */
function attend(
  weights: VitWeights,
  index: number,
  x: tf.Tensor2D,
  batch: number,
  standing: EffectiveWeights,
  keep: Keeper | null,
): tf.Tensor2D {
  const { layerNormEps: eps, heads } = weights.architecture;
  const layer = weights.layers[index] as LayerWeights;
  const norm1 = layerNorm(x, layer.norm1.gamma, layer.norm1.beta, eps);
  let qkv = linear(norm1, standing.weight(index, "qkv"), layer.qkv.bias);
  settle(keep, "norm1", norm1);
  const shape = { batch, tokens: tokensPerImage(weights), heads };
  if (weights.turns) {
    const turned = rotate(qkv, weights.turns, shape);
    qkv.dispose();
    qkv = turned;
  }
  const attended = attention(qkv, shape);
  settle(keep, "qkv", qkv);
  return attended;
}

/** Attention's output map and the MLP over rows, with both residuals: a [R, D] and x [R, D] -> [R, D]. */
function tail(
  weights: VitWeights,
  index: number,
  a: tf.Tensor2D,
  x: tf.Tensor2D,
  standing: EffectiveWeights,
  keep: Keeper | null,
): tf.Tensor2D {
  const { layerNormEps: eps, activation, gatedMlp } = weights.architecture;
  const layer = weights.layers[index] as LayerWeights;
  const middle = branch(a, standing.weight(index, "o"), layer.o.bias, layer.scale1, x);
  const norm2 = layerNorm(middle, layer.norm2.gamma, layer.norm2.beta, eps);
  const fc1 = standing.weight(index, "fc1");
  let h: tf.Tensor2D;
  if (gatedMlp || keep?.wants("u")) {
    const u = linear(norm2, fc1, layer.fc1.bias);
    h = gatedMlp ? swiglu(u) : gelu(u, activation);
    settle(keep, "u", u);
  } else h = linearGelu(norm2, fc1, layer.fc1.bias, activation);
  settle(keep, "norm2", norm2);
  const y = branch(h, standing.weight(index, "fc2"), layer.fc2.bias, layer.scale2, middle);
  settle(keep, "h", h);
  settle(keep, "middle", middle);
  return y;
}

/** The end of a residual branch: residual + (x Wᵀ + b), times LayerScale's gamma where there is one. */
function branch(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D | null,
  gamma: tf.Tensor1D | null,
  residual: tf.Tensor2D,
): tf.Tensor2D {
  if (!gamma) return linear(x, weight, bias, residual);
  const unscaled = linear(x, weight, bias);
  const y = layerScale(unscaled, gamma, residual);
  unscaled.dispose();
  return y;
}

function* wholeLayer(
  weights: VitWeights,
  index: number,
  x: tf.Tensor2D,
  batch: number,
  standing: EffectiveWeights,
  keep: Keeper | null,
): InParts<tf.Tensor2D> {
  const attended = attend(weights, index, x, batch, standing, keep);
  let goesOn = false;
  try {
    yield;
    goesOn = true;
  } finally {
    if (!goesOn) attended.dispose();
  }
  const y = allTail(weights, index, x, attended, standing, keep);
  settle(keep, "attended", attended);
  return y;
}

/** A layer after its attention, for every row. */
function allTail(
  weights: VitWeights,
  index: number,
  x: tf.Tensor2D,
  attended: tf.Tensor2D,
  standing: EffectiveWeights,
  keep: Keeper | null,
): tf.Tensor2D {
  const y = tail(weights, index, attended, x, standing, keep);
  if (keep?.wants("oInput")) keep.layer.oInput = attended.clone();
  return y;
}

/** The last layer after its attention, for one prefix token of every image: -> [batch, D]. */
function tokenTail(
  weights: VitWeights,
  index: number,
  x: tf.Tensor2D,
  attended: tf.Tensor2D,
  batch: number,
  token: number,
  standing: EffectiveWeights,
  keep: Keeper | null,
): tf.Tensor2D {
  const a = takeToken(attended, batch, token);
  const rows = takeToken(x, batch, token);
  const y = tail(weights, index, a, rows, standing, keep);
  rows.dispose();
  settle(keep, "oInput", a);
  return y;
}
