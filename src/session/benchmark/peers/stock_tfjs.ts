// The same work as someone would write it with tfjs alone: stock ops, the tape, tf.train.adam. It runs in a host of its
// own, because our floor replaces some of tfjs's kernels for everyone in the same thread.
import * as tf from "@tensorflow/tfjs-core";
import type { Architecture } from "../../../checkpoint/types.ts";
import type { Compute, Library } from "../protocol.ts";
import {
  adam,
  adapterOf,
  alpha,
  batchOf,
  classes,
  crossEntropy,
  type LinearName,
  learningRate,
  linearShape,
  mean,
  patchesOf,
  rank,
  std,
  tokensOf,
  weightOf,
  workOf,
} from "../work.ts";

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/**
 * @param find the network of a task; a test hands in a smaller one
 */
export function createStockTfjs(find: typeof workOf = workOf): Library {
  return {
    async open(task) {
      const adapter = await openStockBackend(task.compute);
      await registerGradients();
      const architecture = find(task);
      const { pixels: bytes, labels } = batchOf(architecture, task.batch);
      const { imageSize } = architecture;
      const pixels = tf.tensor4d(Int32Array.from(bytes), [task.batch, imageSize, imageSize, 3], "int32");
      const network = createNetwork(architecture, task.batch, task.mode !== "inference");
      if (task.mode === "inference") {
        return {
          adapter,
          async step() {
            const logits = tf.tidy(() => network(pixels));
            const values = await logits.data();
            logits.dispose();
            return crossEntropy(values, labels);
          },
          close() {},
        };
      }
      const optimiser = tf.train.adam(learningRate, adam.beta1, adam.beta2, adam.epsilon);
      const targets = tf.oneHot(tf.tensor1d(labels, "int32"), classes);
      return {
        adapter,
        async step() {
          const entropy = () => tf.losses.softmaxCrossEntropy(targets, network(pixels)) as tf.Scalar;
          const loss = tf.tidy(() => optimiser.minimize(entropy, true) as tf.Scalar);
          const [value] = await loss.data();
          loss.dispose();
          return value as number;
        },
        close() {},
      };
    },
  };
}

async function openStockBackend(compute: Compute): Promise<string> {
  const version = `tfjs ${tf.version_core}`;
  if (compute === "wasm") {
    const { getThreadsCount } = await (inNode ? wasmInNode() : loadInBrowser());
    if (!(await tf.setBackend("wasm"))) throw new Error("tfjs's WASM backend did not start");
    return `${version}, WASM, ${getThreadsCount()} threads`;
  }
  const adapter = await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("there is no WebGPU adapter");
  const { WebGPUBackend } = await import("@tensorflow/tfjs-backend-webgpu");
  // As tfjs opens it, but for a feature that it asks for in a form Dawn refuses and does not use.
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredLimits: {
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    },
  });
  if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => new WebGPUBackend(device, adapter.info), 3);
  await tf.setBackend("webgpu");
  return `${version}, ${adapter.info.description || adapter.info.vendor}`;
}

const loadInBrowser = async () => (await import("./stock_wasm.ts")).loadStockWasm(tf);

async function wasmInNode() {
  // Names that are no literals stay out of a bundle for browsers.
  const [backend, modules, path] = ["@tensorflow/tfjs-backend-wasm", "node:module", "node:path"];
  const wasm = (await import(/* @vite-ignore */ backend)) as typeof import("@tensorflow/tfjs-backend-wasm");
  const { createRequire } = (await import(/* @vite-ignore */ modules)) as typeof import("node:module");
  const { dirname, sep } = (await import(/* @vite-ignore */ path)) as typeof import("node:path");
  wasm.setWasmPaths(dirname(createRequire(import.meta.url).resolve(backend)) + sep);
  return wasm;
}

/** The core exports its gradients only all at once, in a form Node does not load by itself. */
async function registerGradients(): Promise<void> {
  if (!inNode) {
    await import("@tensorflow/tfjs-core/dist/register_all_gradients");
    return;
  }
  const loader = "tsx/cjs/api";
  const { require: load } = (await import(/* @vite-ignore */ loader)) as typeof import("tsx/cjs/api");
  load("@tensorflow/tfjs-core/dist/register_all_gradients.js", import.meta.url);
}

type Affine = [scale: tf.Tensor, offset: tf.Tensor];

/** The network: pixels to logits. Made once; its constants are tensors that stay. */
function createNetwork(architecture: Architecture, batch: number, adapted: boolean) {
  const { hiddenSize: d, heads, layers: depth, imageSize, patchSize, layerNormEps: eps } = architecture;
  const [tokens, patches] = [tokensOf(architecture), patchesOf(architecture)];
  const read = (role: string, shape: number[]) => tf.tensor(weightOf(architecture, role), shape);
  const affine = (name: string): Affine => [read(`${name}.weight`, [d]), read(`${name}.bias`, [d])];
  const linearOf = (layer: number, name: LinearName) => {
    const [out, width] = linearShape(architecture, name);
    const { A, B } = adapterOf(architecture, layer, name);
    return {
      weight: read(`layer.${layer}.${name}.weight`, [out, width]),
      bias: read(`layer.${layer}.${name}.bias`, [out]),
      A: adapted ? tf.variable(tf.tensor(A, [rank, width])) : null,
      B: adapted ? tf.variable(tf.tensor(B, [out, rank])) : null,
    };
  };
  const layers = Array.from({ length: depth }, (_, i) => ({
    norm1: affine(`layer.${i}.norm1`),
    norm2: affine(`layer.${i}.norm2`),
    q: linearOf(i, "q"),
    k: linearOf(i, "k"),
    v: linearOf(i, "v"),
    o: linearOf(i, "o"),
    fc1: linearOf(i, "fc1"),
    fc2: linearOf(i, "fc2"),
  }));
  const patchWeight = read("patch_embed.weight", [d, 3 * patchSize ** 2]);
  const patchBias = read("patch_embed.bias", [d]);
  const prefix = read("cls_token", [1, 1, d]);
  const pos = read("pos_embed", [tokens, d]);
  const last = affine("norm");
  const headWeight = tf.variable(read("head.weight", [classes, d]));
  const headBias = tf.variable(read("head.bias", [classes]));

  const product = (x: tf.Tensor, weight: tf.Tensor) =>
    tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, true);
  const linear = (x: tf.Tensor, { weight, bias, A, B }: ReturnType<typeof linearOf>) => {
    const y = tf.add(product(x, weight), bias);
    return A && B ? tf.add(y, tf.mul(product(product(x, A), B), alpha / rank)) : y;
  };
  const norm = (x: tf.Tensor, [gamma, beta]: Affine) => {
    const { mean: centre, variance } = tf.moments(x, 1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(x, centre), tf.rsqrt(tf.add(variance, eps))), gamma), beta);
  };
  const gelu = (x: tf.Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const byHead = (x: tf.Tensor) =>
    tf.transpose(tf.reshape(x, [batch, tokens, heads, d / heads]), [0, 2, 1, 3]);

  return (pixels: tf.Tensor4D): tf.Tensor2D => {
    const side = imageSize / patchSize;
    const scaled = tf.div(tf.sub(tf.div(tf.cast(pixels, "float32"), 255), mean), std);
    const cut = tf.transpose(
      tf.reshape(scaled, [batch, side, patchSize, side, patchSize, 3]),
      [0, 1, 3, 5, 2, 4],
    );
    const embedded = tf.add(
      product(tf.reshape(cut, [batch * patches, 3 * patchSize ** 2]), patchWeight),
      patchBias,
    );
    const all = tf.concat([tf.tile(prefix, [batch, 1, 1]), tf.reshape(embedded, [batch, patches, d])], 1);
    let x = tf.reshape(tf.add(all, pos), [batch * tokens, d]) as tf.Tensor;
    for (const layer of layers) {
      const n = norm(x, layer.norm1);
      const [q, k, v] = [linear(n, layer.q), linear(n, layer.k), linear(n, layer.v)];
      const scores = tf.mul(tf.matMul(byHead(q), byHead(k), false, true), Math.sqrt(heads / d));
      const mixed = tf.transpose(tf.matMul(tf.softmax(scores), byHead(v)), [0, 2, 1, 3]);
      x = tf.add(x, linear(tf.reshape(mixed, [batch * tokens, d]), layer.o));
      x = tf.add(x, linear(gelu(linear(norm(x, layer.norm2), layer.fc1)), layer.fc2));
    }
    const cls = tf.reshape(tf.slice(tf.reshape(x, [batch, tokens, d]), [0, 0, 0], [batch, 1, d]), [batch, d]);
    return tf.add(product(norm(cls, last), headWeight), headBias);
  };
}
