// What full fine-tuning moves beside the adapted matrices: biases, norms, LayerScale, the patch embedding, the prefix
// tokens, the positions, the final norm and the map into a text tower's space. Each is a change from 0 that is added to the
// frozen tensor, so that WiSE-FT, merging and going back are what they are for the matrices. Left frozen: SigLIP's
// attention pool, whose query and keys the network holds already multiplied together; a bias that the file has no tensor
// for; positions that were resized to another grid than the file's; and q's, k's and v's biases of DINOv3, of which the
// family masks a part when it reads the file.
import * as tf from "@tensorflow/tfjs-core";
import type { Role } from "../checkpoint/types.ts";
import { layerNorm, layerNormInputGradient } from "../tensor/layer_norm.ts";
import { patchify } from "../tensor/patch_embed.ts";
import type { Trainables } from "../tensor/trainables.ts";
import { embedTokens } from "../vit/forward.ts";
import type { NormWeights, Site, VitWeights } from "../vit/types.ts";
import type { Gate, Matrix } from "./types.ts";

/** One tensor of the network, as one or more roles of a file lie in it one after the other. */
interface Free {
  roles: { role: Role; count: number }[];
  base: tf.Tensor;
  change: tf.Variable;
  /** Gates it goes with: it stands while one of them is open. */
  owners: readonly number[];
}

export interface Rest {
  /** By the name a snapshot keeps each under; in this order they are trained. */
  readonly variables: Readonly<Record<string, tf.Variable>>;
  /** Whether a tensor stands with these gates open. */
  network(open: ArrayLike<number>, strength: number): { network: VitWeights; dispose(): void };
  /** The changed values of every role that stands. */
  merge(open: ArrayLike<number>, strength: number): Promise<Map<Role, Float32Array<ArrayBuffer>>>;
  /** Collects a linear map's bias. @param first index in `trainables` of the first variable, as below */
  bias(trainables: Trainables, first: number, layer: number, site: Site, dy: tf.Tensor2D): void;
  /** Collects a norm's gamma and beta. @param name `layer.{i}.norm1`, `layer.{i}.norm2` or `norm` */
  norm(trainables: Trainables, first: number, name: string, x: tf.Tensor2D, dy: tf.Tensor2D): void;
  /** Collects a LayerScale. @param name `layer.{i}.scale1|scale2`; @param x the branch before it */
  scale(trainables: Trainables, first: number, name: string, x: tf.Tensor2D, dy: tf.Tensor2D): void;
  /** Collects the map into a text tower's space. */
  projection(trainables: Trainables, first: number, x: tf.Tensor2D, dy: tf.Tensor2D): void;
  /** Collects what lies below layer 0. @param standing the network as it stood; @param dx gradient of its entry */
  entry(
    trainables: Trainables,
    first: number,
    standing: VitWeights,
    pixels: tf.Tensor4D,
    dx: tf.Tensor2D,
  ): void;
  dispose(): void;
}

const attention: readonly Matrix[] = ["q", "k", "v", "o"];
const mlp: readonly Matrix[] = ["fc1", "fc2"];

/** @param stored roles that the file can take back; null: every one */
export function createRest(
  weights: VitWeights,
  gates: readonly Gate[],
  stored: ReadonlySet<Role> | null,
): Rest {
  const { architecture } = weights;
  const { hiddenSize: d, layerNormEps: eps, prefixTokens, registers = 0 } = architecture;
  const free = new Map<string, Free>();
  const everywhere = gates.map(({ id }) => id);
  const add = (
    name: string,
    base: tf.Tensor | null,
    owners: readonly number[],
    roles: [Role, number][] = [[name, base?.size ?? 0]],
  ) => {
    if (!base || (stored && !roles.every(([role]) => stored.has(role)))) return;
    const change = tf.tidy(() => tf.variable(tf.zeros(base.shape), false));
    free.set(name, { base, change, owners, roles: roles.map(([role, count]) => ({ role, count })) });
  };
  const addNorm = (name: string, norm: NormWeights | null, owners: readonly number[]) => {
    add(`${name}.weight`, norm?.gamma ?? null, owners);
    add(`${name}.bias`, norm?.beta ?? null, owners);
  };
  weights.layers.forEach((layer, i) => {
    const of = (matrices: readonly Matrix[]) =>
      gates.flatMap((gate) =>
        gate.layer === i && gate.matrices.some((matrix) => matrices.includes(matrix)) ? [gate.id] : [],
      );
    addNorm(`layer.${i}.norm1`, layer.norm1, of(attention));
    if (architecture.ropeBase === undefined)
      add(
        `layer.${i}.qkv.bias`,
        layer.qkv.bias,
        of(["q", "k", "v"]),
        ["q", "k", "v"].map((matrix) => [`layer.${i}.${matrix}.bias`, d]),
      );
    add(`layer.${i}.o.bias`, layer.o.bias, of(["o"]));
    add(`layer.${i}.scale1`, layer.scale1, of(attention));
    addNorm(`layer.${i}.norm2`, layer.norm2, of(mlp));
    add(`layer.${i}.fc1.bias`, layer.fc1.bias, of(["fc1"]));
    add(`layer.${i}.fc2.bias`, layer.fc2.bias, of(["fc2"]));
    add(`layer.${i}.scale2`, layer.scale2, of(mlp));
  });
  addNorm("norm", weights.norm, everywhere);
  add("projection.weight", weights.projection, everywhere);
  addNorm("pre_norm", weights.preNorm, everywhere);
  add("patch_embed.weight", weights.patchEmbed.weight, everywhere);
  add("patch_embed.bias", weights.patchEmbed.bias, everywhere);
  const tokens = ["cls_token", "dist_token"].slice(0, prefixTokens - registers);
  if (prefixTokens > 0)
    add("prefix", weights.prefix, everywhere, [
      ...tokens.map((role): [Role, number] => [role, d]),
      ...(registers > 0 ? [["register_tokens", registers * d] as [Role, number]] : []),
    ]);
  if (architecture.ropeBase === undefined) add("pos_embed", weights.pos, everywhere);

  const names = [...free.keys()];
  const at = new Map(names.map((name, i) => [name, i]));
  const stands = ({ owners }: Free, open: ArrayLike<number>) => owners.some((gate) => open[gate] === 1);
  const sum = ({ base, change }: Free, strength: number) =>
    tf.tidy(() => tf.add(base, strength === 1 ? change : tf.mul(change, strength)));

  /** Σ over rows of dy as a variable's gradient, where it learns. */
  const rows = (trainables: Trainables, first: number, name: string, dy: tf.Tensor2D) => {
    const index = at.get(name);
    if (index === undefined) return;
    const ones = tf.ones([dy.shape[0], 1]) as tf.Tensor2D;
    trainables.collect(first + index, ones, dy);
    ones.dispose();
  };
  const product = (trainables: Trainables, first: number, name: string, dy: tf.Tensor2D, x: tf.Tensor2D) => {
    const index = at.get(name);
    if (index !== undefined) trainables.collect(first + index, dy, x);
  };
  const scaled = (trainables: Trainables, first: number, name: string, x: tf.Tensor2D, dy: tf.Tensor2D) => {
    const product = tf.mul(dy, x) as tf.Tensor2D;
    rows(trainables, first, name, product);
    product.dispose();
  };
  const norm: Rest["norm"] = (trainables, first, name, x, dy) => {
    const n = tf.tidy(() => layerNorm(x, tf.ones([x.shape[1]]), tf.zeros([x.shape[1]]), eps));
    scaled(trainables, first, `${name}.weight`, n, dy);
    n.dispose();
    rows(trainables, first, `${name}.bias`, dy);
  };

  return {
    variables: Object.fromEntries(names.map((name) => [name, (free.get(name) as Free).change])),
    network(open, strength) {
      const standing = new Map<tf.Tensor, tf.Tensor>();
      for (const one of free.values()) if (stands(one, open)) standing.set(one.base, sum(one, strength));
      return {
        network: replaced(weights, standing),
        dispose: () => tf.dispose([...standing.values()]),
      };
    },
    async merge(open, strength) {
      const merged = new Map<Role, Float32Array<ArrayBuffer>>();
      for (const one of free.values()) {
        if (!stands(one, open)) continue;
        const tensor = sum(one, strength);
        const values = new Float32Array(await tensor.data());
        tensor.dispose();
        let from = 0;
        for (const { role, count } of one.roles) {
          merged.set(role, values.slice(from, from + count));
          from += count;
        }
      }
      return merged;
    },
    bias: (trainables, first, layer, site, dy) => rows(trainables, first, `layer.${layer}.${site}.bias`, dy),
    norm,
    scale: scaled,
    projection: (trainables, first, x, dy) => product(trainables, first, "projection.weight", dy, x),
    entry(trainables, first, standing, pixels, dx) {
      let dtokens = dx.clone();
      if (standing.preNorm) {
        const tokens = embedTokens(standing, pixels);
        norm(trainables, first, "pre_norm", tokens, dx);
        dtokens.dispose();
        dtokens = layerNormInputGradient(dx, tokens, standing.preNorm.gamma, eps);
        tokens.dispose();
      }
      const batch = pixels.shape[0];
      const { flat, byImage, prefix, patches } = tf.tidy(() => {
        const images = tf.reshape(dtokens, [batch, -1, d]) as tf.Tensor3D;
        const count = images.shape[1] - prefixTokens;
        return {
          flat: patchify(pixels, standing.mean, standing.std, architecture.patchSize),
          byImage: tf.reshape(dtokens, [batch, -1]) as tf.Tensor2D,
          prefix: tf.reshape(tf.slice3d(images, [0, 0, 0], [batch, prefixTokens, d]), [
            batch,
            prefixTokens * d,
          ]) as tf.Tensor2D,
          patches: tf.reshape(tf.slice3d(images, [0, prefixTokens, 0], [batch, count, d]), [
            batch * count,
            d,
          ]) as tf.Tensor2D,
        };
      });
      rows(trainables, first, "pos_embed", byImage);
      rows(trainables, first, "prefix", prefix);
      product(trainables, first, "patch_embed.weight", patches, flat);
      rows(trainables, first, "patch_embed.bias", patches);
      tf.dispose([dtokens, flat, byImage, prefix, patches]);
    },
    dispose: () => tf.dispose([...free.values()].map(({ change }) => change)),
  };
}

/** The network with some of its tensors in the place of others. */
function replaced(weights: VitWeights, by: ReadonlyMap<tf.Tensor, tf.Tensor>): VitWeights {
  const of = <T extends tf.Tensor | null>(tensor: T): T => ((tensor && by.get(tensor)) ?? tensor) as T;
  const norm = <T extends NormWeights | null>(one: T): T =>
    (one && { gamma: of(one.gamma), beta: of(one.beta) }) as T;
  const linear = <T extends { weight: tf.Tensor2D; bias: tf.Tensor1D | null }>({ weight, bias }: T) => ({
    weight: of(weight),
    bias: of(bias),
  });
  return {
    ...weights,
    patchEmbed: linear(weights.patchEmbed),
    prefix: of(weights.prefix),
    pos: of(weights.pos),
    preNorm: norm(weights.preNorm),
    layers: weights.layers.map((layer) => ({
      norm1: norm(layer.norm1),
      qkv: linear(layer.qkv),
      o: linear(layer.o),
      scale1: of(layer.scale1),
      norm2: norm(layer.norm2),
      fc1: linear(layer.fc1),
      fc2: linear(layer.fc2),
      scale2: of(layer.scale2),
    })),
    norm: norm(weights.norm),
    projection: of(weights.projection),
  };
}
