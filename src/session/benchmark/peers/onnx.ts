// Forward only in onnxruntime-web: the same network with the same weights, written as an ONNX file in memory, so that
// no exporter is needed and no big file lies anywhere. The few messages of ONNX's protobuf that it takes are at the end.
import type { Architecture } from "../../../checkpoint/types.ts";
import type { Library } from "../protocol.ts";
import {
  batchOf,
  classes,
  crossEntropy,
  type LinearName,
  linearShape,
  mean,
  patchesOf,
  std,
  tokensOf,
  weightOf,
  workOf,
} from "../work.ts";

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/**
 * @param find the network of a task; a test hands in a smaller one
 */
export function createOnnx(find: typeof workOf = workOf): Library {
  return {
    async open(task) {
      if (task.mode !== "inference") throw new Error("onnxruntime-web does not train");
      const gpu = task.compute === "webgpu";
      // Each brings its .wasm with it, which Vite lays beside our own script.
      const ort = await (gpu
        ? import("onnxruntime-web/webgpu")
        : inNode
          ? wasmInNode()
          : import("onnxruntime-web/wasm"));
      // By itself it takes half of the cores.
      ort.env.wasm.numThreads = inNode ? await coresInNode() : navigator.hardwareConcurrency;
      const architecture = find(task);
      const { imageSize } = architecture;
      const { pixels, labels } = batchOf(architecture, task.batch);
      const session = await ort.InferenceSession.create(onnxFile(architecture, task.batch), {
        executionProviders: [task.compute],
        graphOptimizationLevel: "all",
      });
      const shape = [task.batch, imageSize, imageSize, 3];
      const input = new ort.Tensor("float32", Float32Array.from(pixels), shape);
      return {
        adapter: `onnxruntime-web ${ort.env.versions.web ?? ""}, ${task.compute}, ${ort.env.wasm.numThreads} threads`,
        async step() {
          const { logits } = await session.run({ pixels: input });
          return crossEntropy((await logits?.getData()) as Float32Array, labels);
        },
        close: () => session.release(),
      };
    },
  };
}

// Names that are no literals stay out of a bundle for browsers.
async function wasmInNode(): Promise<typeof import("onnxruntime-web")> {
  const whole = "onnxruntime-web";
  return import(/* @vite-ignore */ whole);
}

async function coresInNode(): Promise<number> {
  const os = "node:os";
  return ((await import(/* @vite-ignore */ os)) as typeof import("node:os")).availableParallelism();
}

/** The network as an ONNX model, opset 20, as PyTorch's exporter would write it. */
export function onnxFile(architecture: Architecture, batch: number): Uint8Array {
  const { hiddenSize: d, heads, layers, patchSize, layerNormEps } = architecture;
  const [tokens, patches] = [tokensOf(architecture), patchesOf(architecture)];
  const graph = new Graph();
  const { add, floats, sizes } = graph;
  const read = (role: string, shape: number[]) => floats(role, weightOf(architecture, role), shape);
  const turned = (role: string, [out, width]: [number, number]) => {
    const values = weightOf(architecture, role);
    const result = new Float32Array(values.length);
    for (let i = 0; i < out; i++)
      for (let j = 0; j < width; j++) result[j * out + i] = values[i * width + j] as number;
    return floats(role, result, [width, out]);
  };
  const scalar = (name: string, value: number) => floats(name, Float32Array.of(value), []);
  const reshape = (x: string, shape: number[]) => add("Reshape", [x, sizes(shape)]);
  const norm = (x: string, name: string) =>
    add("LayerNormalization", [x, read(`${name}.weight`, [d]), read(`${name}.bias`, [d])], {
      axis: { int: -1 },
      epsilon: { float: layerNormEps },
    });
  const linear = (x: string, layer: number, name: LinearName) => {
    const shape = linearShape(architecture, name);
    const y = add("MatMul", [x, turned(`layer.${layer}.${name}.weight`, shape)]);
    return add("Add", [y, read(`layer.${layer}.${name}.bias`, [shape[0]])]);
  };

  let x = add("Div", ["pixels", scalar("255", 255)]);
  x = add("Div", [add("Sub", [x, scalar("mean", mean)]), scalar("std", std)]);
  x = add("Transpose", [x], { perm: { ints: [0, 3, 1, 2] } });
  const kernel = read("patch_embed.weight", [d, 3, patchSize, patchSize]);
  x = add("Conv", [x, kernel, read("patch_embed.bias", [d])], {
    kernel_shape: { ints: [patchSize, patchSize] },
    strides: { ints: [patchSize, patchSize] },
  });
  x = add("Transpose", [reshape(x, [batch, d, patches])], { perm: { ints: [0, 2, 1] } });
  const prefix = add("Expand", [read("cls_token", [1, 1, d]), sizes([batch, 1, d])]);
  x = add("Concat", [prefix, x], { axis: { int: 1 } });
  x = add("Add", [x, read("pos_embed", [1, tokens, d])]);
  for (let i = 0; i < layers; i++) {
    const n = norm(x, `layer.${i}.norm1`);
    const byHead = (name: "q" | "k" | "v", perm: number[]) =>
      add("Transpose", [reshape(linear(n, i, name), [batch, tokens, heads, d / heads])], {
        perm: { ints: perm },
      });
    const products = add("MatMul", [byHead("q", [0, 2, 1, 3]), byHead("k", [0, 2, 3, 1])]);
    const scores = add("Mul", [products, scalar("scale", Math.sqrt(heads / d))]);
    const p = add("Softmax", [scores], { axis: { int: -1 } });
    const mixed = add("MatMul", [p, byHead("v", [0, 2, 1, 3])]);
    const flat = reshape(add("Transpose", [mixed], { perm: { ints: [0, 2, 1, 3] } }), [batch, tokens, d]);
    x = add("Add", [x, linear(flat, i, "o")]);
    x = add("Add", [x, linear(add("Gelu", [linear(norm(x, `layer.${i}.norm2`), i, "fc1")]), i, "fc2")]);
  }
  const cls = add("Gather", [norm(x, "norm"), sizes([0], [])], { axis: { int: 1 } });
  const logits = add("MatMul", [cls, turned("head.weight", [classes, d])]);
  add("Add", [logits, read("head.bias", [classes])], {}, "logits");
  return graph.file([batch, architecture.imageSize, architecture.imageSize, 3], [batch, classes]);
}

type Attribute = { int: number } | { ints: number[] } | { float: number };

/** A graph under construction; every method answers with the name of what it made. */
class Graph {
  readonly #nodes: Part[] = [];
  readonly #constants = new Map<string, Part>();
  #last = 0;

  add = (
    kind: string,
    inputs: string[],
    attributes: Record<string, Attribute> = {},
    output = `t${++this.#last}`,
  ): string => {
    const fields: Part[] = [
      ...inputs.map((input) => text(1, input)),
      text(2, output),
      text(4, kind),
      ...Object.entries(attributes).map(([name, value]) => {
        if ("float" in value) return message(5, [text(1, name), float(2, value.float), varint(20, 1)]);
        if ("int" in value) return message(5, [text(1, name), varint(3, value.int), varint(20, 2)]);
        return message(5, [text(1, name), ...value.ints.map((one) => varint(8, one)), varint(20, 7)]);
      }),
    ];
    this.#nodes.push(message(1, fields));
    return output;
  };

  floats = (name: string, values: Float32Array<ArrayBuffer>, shape: number[]): string =>
    this.#constant(name, 1, new Uint8Array(values.buffer), shape);

  sizes = (values: number[], shape = [values.length]): string =>
    this.#constant(
      `sizes ${values} ${shape}`,
      7,
      new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer),
      shape,
    );

  #constant(name: string, type: number, raw: Uint8Array, shape: number[]): string {
    if (!this.#constants.has(name)) {
      const dims = shape.map((size) => varint(1, size));
      this.#constants.set(name, message(5, [...dims, varint(2, type), text(8, name), bytes(9, raw)]));
    }
    return name;
  }

  /** The model with its one input `pixels` and one output `logits`. */
  file(input: number[], output: number[]): Uint8Array {
    const value = (field: number, name: string, shape: number[]) => {
      const dims = shape.map((size) => message(1, [varint(1, size)]));
      return message(field, [text(1, name), message(2, [message(1, [varint(1, 1), message(2, dims)])])]);
    };
    const graph = message(7, [
      ...this.#nodes,
      text(2, "vit"),
      ...this.#constants.values(),
      value(11, "pixels", input),
      value(12, "logits", output),
    ]);
    const model = [varint(1, 9), message(8, [text(1, ""), varint(2, 20)]), graph];
    const all = new Uint8Array(model.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const chunk of model.flatMap((part) => part.chunks)) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}

/** A piece of protobuf; in chunks, so that weights are copied once. */
interface Part {
  length: number;
  chunks: Uint8Array[];
}

function digits(value: number): number[] {
  const found: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    found.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return found;
}

const raw = (values: number[]): Part => ({ length: values.length, chunks: [Uint8Array.from(values)] });
const varint = (field: number, value: number): Part => raw([...digits(field << 3), ...digits(value)]);
const text = (field: number, value: string): Part => bytes(field, new TextEncoder().encode(value));
const float = (field: number, value: number): Part =>
  raw([...digits((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)]);
const bytes = (field: number, value: Uint8Array): Part =>
  message(field, [{ length: value.length, chunks: [value] }]);

function message(field: number, parts: Part[]): Part {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = Uint8Array.from([...digits((field << 3) | 2), ...digits(length)]);
  return { length: head.length + length, chunks: [head, ...parts.flatMap((part) => part.chunks)] };
}
