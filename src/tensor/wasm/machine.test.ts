// The machine itself: its modules are what their source says, results do not depend on how many threads computed them,
// and nothing grows. What each kernel computes is tested at the doors.
import { readFile } from "node:fs/promises";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, it } from "vitest";
import "../allclose.ts";
import { openBackend } from "../backend.ts";
import type { Attributes } from "../body.ts";
import { normal, take } from "../testing/numbers.ts";
import { attentionBodies } from "./attention.ts";
import type { Body } from "./bodies.ts";
import { compile, modules } from "./build.ts";
import { elementBodies } from "./elements.ts";
import { linearBodies } from "./linear.ts";
import { Machine } from "./machine.ts";
import { withMemory } from "./memory.ts";
import { rowBodies } from "./rows.ts";

const names = Object.keys(modules) as (keyof typeof modules)[];

beforeAll(async () => {
  await openBackend("wasm");
});

it.each(names)("%s is what its source compiles to", async (name) => {
  const there = await readFile(new URL(`./${name}`, import.meta.url));
  expect(Buffer.compare(there, await compile(name)), "run `npx tsx src/tensor/wasm/build.ts`").toBe(0);
});

it.each(names)("%s takes memory that is shared or not, and leaves it as it is", async (name) => {
  const module = await readFile(new URL(`./${name}`, import.meta.url));
  for (const shared of [true, false]) {
    const compiled = await WebAssembly.compile(withMemory(module, shared)!);
    expect(WebAssembly.Module.imports(compiled)).toEqual([{ module: "env", name: "memory", kind: "memory" }]);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared });
    await WebAssembly.instantiate(compiled, { env: { memory } });
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  }
});

it("finds no memory in a module that has none", () => {
  expect(withMemory(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0), true)).toBeNull();
});

/** Inputs by name and shape, and a body that is given them. */
const cases: [string, Body, Record<string, number[]>, Attributes][] = [
  ["Linear", linearBodies.Linear!, { x: [1040, 70], weight: [133, 70], bias: [133] }, {}],
  ["LinearInputGradient", linearBodies.LinearInputGradient!, { dy: [777, 600], weight: [600, 128] }, {}],
  ["AdapterU", linearBodies.AdapterU!, { dy: [1040, 192], z: [1040, 12] }, { pieces: 3 }],
  ["OuterSum", linearBodies.OuterSum!, { v: [1040, 12], x: [1040, 130] }, {}],
  ["Attention", attentionBodies.Attention!, { qkv: [4 * 65, 3 * 64] }, { batch: 4, tokens: 65, heads: 2 }],
  [
    "AttentionInputGradient",
    attentionBodies.AttentionInputGradient!,
    { dout: [2 * 197, 64], qkv: [2 * 197, 3 * 64], out: [2 * 197, 64] },
    { batch: 2, tokens: 197, heads: 2 },
  ],
  ["LayerNorm", rowBodies.LayerNorm!, { x: [200, 130], gamma: [130], beta: [130] }, { eps: 1e-6 }],
  ["Gelu", elementBodies.Gelu!, { u: [65, 517] }, { kind: "gelu" }],
];

it("computes the same bits with any number of threads, and again", async () => {
  const backend = tf.backend() as BackendWasm;
  const machines = await Promise.all([1, 2, 3, 8].map((threads) => Machine.start(backend, { threads })));
  expect(machines.map((machine) => machine?.threads)).toEqual([1, 2, 3, 8]);
  for (const [name, body, shapes, attributes] of cases) {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([input, shape], i) => [
        input,
        tf.tensor(normal(tf.util.sizeFromShape(shape), i), shape),
      ]),
    );
    let first: Float32Array | null = null;
    for (let run = 0; run < 5; run++) {
      for (const machine of machines) {
        const out = body(machine!, inputs, attributes) as tf.TensorInfo;
        const values = await take(tf.engine().makeTensorFromTensorInfo(out));
        first ??= values;
        expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(first.buffer)), name).toBe(0);
      }
    }
    tf.dispose(inputs);
  }
});

it("computes the same without fused multiply-add, but for rounding", async () => {
  const backend = tf.backend() as BackendWasm;
  const plain = (await Machine.start(backend, { threads: 1, fused: false }))!;
  const best = (await Machine.start(backend, { threads: 1 }))!;
  expect(plain.fused).toBe(false);
  for (const [, body, shapes, attributes] of cases) {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([input, shape], i) => [
        input,
        tf.tensor(normal(tf.util.sizeFromShape(shape), i), shape),
      ]),
    );
    const [a, b] = [plain, best].map((machine) =>
      take(tf.engine().makeTensorFromTensorInfo(body(machine, inputs, attributes) as tf.TensorInfo)),
    );
    expect(await a!).toBeAllClose(await b!, { atol: 2e-4, rtol: 1e-5 });
    tf.dispose(inputs);
  }
});

it("neither grows nor forgets a tensor over 1000 jobs, and survives memory that grows", async () => {
  const machine = (await Machine.start(tf.backend() as BackendWasm, { threads: 2 }))!;
  const u = tf.tensor2d(normal(12000, 1), [120, 100]);
  const gelu = async () =>
    take(
      tf
        .engine()
        .makeTensorFromTensorInfo(elementBodies.Gelu!(machine, { u }, { kind: "gelu" }) as tf.TensorInfo),
    );
  const before = await gelu();
  const { numTensors, numBytes } = tf.memory();
  for (let job = 0; job < 1000; job++) await gelu();
  expect(tf.memory()).toMatchObject({ numTensors, numBytes });
  const large = tf.zeros([40_000_000]);
  expect(await gelu()).toEqual(before);
  large.dispose();
  expect(await gelu()).toEqual(before);
  u.dispose();
});
