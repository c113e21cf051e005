// The network forwards, op by op: pixels to the features a classifier reads. In the last layer only the prefix tokens
// are read by anyone, so everything after its attention is computed for their rows alone.
import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../tensor/attention.ts";
import { gelu } from "../tensor/gelu.ts";
import { layerNorm } from "../tensor/layer_norm.ts";
import { linear } from "../tensor/linear.ts";
import { addTokens, patchify, takeToken } from "../tensor/patch_embed.ts";
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
 * Pixels [batch, H, W, 3] in 0..255 to the activation [batch·tokens, D] that enters layer 0; the caller disposes it.
 */
export function embed(weights: VitWeights, pixels: tf.Tensor4D): tf.Tensor2D {
  const batch = pixels.shape[0];
  const flat = patchify(pixels, weights.mean, weights.std, weights.architecture.patchSize);
  const patches = linear(flat, weights.patchEmbed.weight, weights.patchEmbed.bias);
  const tokens = addTokens(patches, weights.prefix, weights.pos, batch);
  tf.dispose([flat, patches]);
  return tokens;
}

/** The activation [batch·tokens, D] that enters layer `layer`, for caching; the caller disposes it. */
export function entryOf(
  weights: VitWeights,
  pixels: tf.Tensor4D,
  effective: EffectiveWeights | null,
  layer: number,
): tf.Tensor2D {
  const standing = effective ?? frozenWeights(weights);
  let x = embed(weights, pixels);
  for (let i = 0; i < layer; i++) {
    const next = wholeLayer(weights, i, x, pixels.shape[0], standing, null);
    x.dispose();
    x = next;
  }
  return x;
}

/**
 * From pixels, or from the activation that enters a layer (which stays the caller's), to features.
 * @param effective the weights that stand at the sites; null for the frozen ones
 * @returns features, and with `keepFrom` what backward needs; the caller disposes both (backward disposes what it used)
 */
export function forward(
  weights: VitWeights,
  input: ForwardInput,
  effective: EffectiveWeights | null,
  options: ForwardOptions = {},
): ForwardResult {
  const standing = effective ?? frozenWeights(weights);
  const { keepFrom = null, keepInput = () => true, dist = false } = options;
  const { layers: depth, layerNormEps: eps } = weights.architecture;
  const start = "pixels" in input ? 0 : input.layer;
  const batch = "pixels" in input ? input.pixels.shape[0] : input.batch;
  const given = "pixels" in input ? null : input.entry;
  let x = "pixels" in input ? embed(weights, input.pixels) : input.entry;

  const kept: (KeptLayer | null)[] = [];
  for (let i = start; i < depth - 1; i++) {
    const keep = keepFrom === null ? null : keeperFor(i, keepFrom, keepInput);
    const next = wholeLayer(weights, i, x, batch, standing, keep);
    if (keep) kept[i] = keep.layer;
    // The caller's entry is only ever kept as a copy-free clone, so that disposing stays one rule.
    if (keep?.wants("x")) keep.layer.x = x === given ? x.clone() : x;
    else if (x !== given) x.dispose();
    x = next;
  }

  const top = depth - 1;
  const keep = keepFrom === null ? null : keeperFor(top, keepFrom, keepInput);
  const attended = attend(weights, top, x, batch, standing, keep);
  const last = tokenTail(weights, top, x, attended, batch, 0, standing, keep);
  const cls = layerNorm(last, weights.norm.gamma, weights.norm.beta, eps);
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
    cls,
    dist: distFeatures,
    dispose: () => tf.dispose(distFeatures ? [cls, distFeatures] : [cls]),
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
  const qkv = linear(norm1, standing.weight(index, "qkv"), layer.qkv.bias);
  settle(keep, "norm1", norm1);
  const attended = attention(qkv, { batch, tokens: tokensPerImage(weights), heads });
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
  const { layerNormEps: eps, activation } = weights.architecture;
  const layer = weights.layers[index] as LayerWeights;
  const middle = linear(a, standing.weight(index, "o"), layer.o.bias, x);
  const norm2 = layerNorm(middle, layer.norm2.gamma, layer.norm2.beta, eps);
  const u = linear(norm2, standing.weight(index, "fc1"), layer.fc1.bias);
  settle(keep, "norm2", norm2);
  const h = gelu(u, activation);
  settle(keep, "u", u);
  const y = linear(h, standing.weight(index, "fc2"), layer.fc2.bias, middle);
  settle(keep, "h", h);
  settle(keep, "middle", middle);
  return y;
}

function wholeLayer(
  weights: VitWeights,
  index: number,
  x: tf.Tensor2D,
  batch: number,
  standing: EffectiveWeights,
  keep: Keeper | null,
): tf.Tensor2D {
  const attended = attend(weights, index, x, batch, standing, keep);
  const y = tail(weights, index, attended, x, standing, keep);
  if (keep?.wants("oInput")) keep.layer.oInput = attended.clone();
  settle(keep, "attended", attended);
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
