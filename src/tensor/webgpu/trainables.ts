// WebGPU body of ../trainables.ts. Parameters, gradients and moments lie in blocks at the same places, so that one
// program ends a batch (sums the parts that long sums were cut into), one yields every gate's gradient, and one updates
// all parameters. A block is as large as a binding may be; a run needs more than one only on the largest networks.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Change, GatedParameter, Trainables, UpdateRule } from "../trainables.ts";
import { type Block, copyInto, createBlock, isPart, padded, placeOf, writeInto, zeros } from "./block.ts";
import { type GpuProduct, partsFor, productInParts } from "./product.ts";
import { dispatch, runShader } from "./program.ts";
import { byRow } from "./rows.ts";
import { variantOf } from "./variants.ts";

/** Device memory that the parts of long sums may take, in numbers. */
const partsLimit = 8 * 2 ** 20;
/** Parts of one sum at most. */
const mostParts = 16;
/** Numbers that one workgroup of an update deals with. */
const spanLength = 1024;

/** Parameters of one block, with what belongs to them. */
interface Group {
  /** Indices of the parameters that lie here. */
  indices: number[];
  values: Block;
  moments: Block[];
  /** Plane 0 is the gradient of the step so far, planes 1.. the parts of the batch at hand. */
  gradients: tf.Tensor1D;
  /** Numbers of one plane. */
  plane: number;
  /** Planes for parts. */
  most: number;
}

/** Writes numbers over a variable that lies in a block; false when it does not. */
export function overwritePart(variable: tf.Variable, values: Float32Array): boolean {
  const backend = tf.backend() as WebGPUBackend;
  if (!isPart(backend, variable)) return false;
  writeInto(backend, variable, Float32Array.from(values));
  return true;
}

export function createPackedTrainables(parameters: readonly tf.Variable[], rule: UpdateRule): Trainables {
  return new PackedTrainables(parameters, rule);
}

class PackedTrainables implements Trainables {
  readonly parameters: readonly tf.Variable[];
  readonly moments: Record<string, tf.Variable> = {};
  steps = 0;
  readonly #backend = tf.backend() as WebGPUBackend;
  readonly #rule: UpdateRule;
  readonly #groups: Group[] = [];
  /** Group and start of each parameter. */
  readonly #places: { group: Group; start: number }[] = [];
  /** Parts in which each parameter's gradient of this batch was collected; 0: none was. */
  readonly #parts: number[];
  /** Whether this is the first batch of an update. */
  #fresh = true;
  /** Tables that programs walk by, made once for each phase of a run. */
  readonly #tables = new Map<string, { table: tf.Tensor2D; count: number }>();

  constructor(parameters: readonly tf.Variable[], rule: UpdateRule) {
    this.parameters = parameters;
    this.#rule = rule;
    this.#parts = parameters.map(() => 0);
    const backend = this.#backend;
    const { maxStorageBufferBindingSize, maxBufferSize } = backend.device.limits;
    const bound = Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4;
    const names = rule.kind === "adamw" ? ["m", "v"] : ["velocity"];
    for (const indices of shareOut(
      parameters.map(({ size }) => padded(size)),
      // the gradient has two planes at least
      Math.floor(bound / 2),
    )) {
      const shapes = indices.map((index) => (parameters[index] as tf.Variable).shape);
      const values = createBlock(backend, shapes);
      const moments = names.map(() => createBlock(backend, shapes));
      const plane = values.whole.size;
      const most = Math.max(1, Math.min(mostParts, Math.floor(Math.min(partsLimit, bound - plane) / plane)));
      const gradients = zeros(backend, plane * (most + 1));
      const group: Group = { indices, values, moments, gradients, plane, most };
      this.#groups.push(group);
      indices.forEach((index, i) => {
        const parameter = parameters[index] as tf.Variable;
        const part = values.parts[i] as tf.Tensor;
        copyInto(backend, part, parameter);
        parameter.assign(part);
        part.dispose();
        names.forEach((name, n) => {
          const moment = (moments[n] as Block).parts[i] as tf.Tensor;
          this.moments[`${name}.${index}`] = tf.variable(moment, false);
          moment.dispose();
        });
        this.#places[index] = { group, start: values.starts[i] as number };
      });
    }
  }

  collect(index: number, a: tf.Tensor2D, b: tf.Tensor2D, pieces = 1): void {
    const { group, start } = this.#place(index);
    const [depth, out] = a.shape;
    const rows = out / pieces;
    const columns = b.shape[1] / pieces;
    const sum: GpuProduct = {
      rows,
      columns,
      depth,
      pieces,
      a: { tensor: a, layout: "k outer", stride: out, piece: rows },
      b: { tensor: b, layout: "k outer", stride: b.shape[1], piece: columns },
      shape: [out, columns],
      stride: columns,
      piece: rows * columns,
    };
    const count = partsFor(this.#backend, sum, group.most);
    productInParts(this.#backend, sum, {
      tensor: group.gradients,
      start: group.plane + start,
      distance: group.plane,
      count,
    });
    this.#parts[index] = count;
  }

  endBatch(): void {
    const backend = this.#backend;
    const { workgroup } = variantOf(backend);
    for (const group of this.#groups) {
      const parts = group.indices.map((index) => this.#parts[index] as number);
      const { table, count } = this.#table(`parts ${parts}`, group, (push) => {
        group.indices.forEach((index, i) => {
          for (const [start, length] of this.#spans(index)) push(start, length, parts[i] as number, 0);
        });
      });
      dispatch(backend, {
        key: `endBatch ${this.#fresh}`,
        bindings: [
          { name: "gradients", tensor: group.gradients, writes: true },
          { name: "spans", tensor: table, components: 4 },
        ],
        invocations: count * workgroup,
        workgroup,
        integers: { count, plane: group.plane },
        code: () => `
          fn main(index : i32) {
            let at = index / ${workgroup};
            if (at >= uniforms.count) { return; }
            let span = spans[at];
            for (var i = span.x + index % ${workgroup}; i < span.x + span.y; i += ${workgroup}) {
              var sum = ${this.#fresh ? "0.0" : "gradients[i]"};
              for (var part = 1; part <= span.z; part += 1) { sum += gradients[part * uniforms.plane + i]; }
              gradients[i] = sum;
            }
          }
        `,
      });
    }
    this.#fresh = false;
    this.#parts.fill(0);
  }

  gateGradient(of: readonly GatedParameter[], count: number, factor: number): tf.Tensor1D {
    const backend = this.#backend;
    const { lanes, name, program, reductions } = byRow(backend);
    let sum: tf.TensorInfo | null = null;
    for (const group of this.#groups) {
      // Spans of gate 0, then of gate 1 ..; a row before them says where each gate's begin and end.
      const { table } = this.#table(
        `gates ${count} ${of.map(({ index, gates }) => `${index}:${gates}`)}`,
        group,
        (push) => {
          const mine = Array.from({ length: count }, (_, gate) =>
            of.flatMap(({ index, gates }) => {
              const { group: lies, start } = this.#place(index);
              if (lies !== group) return [];
              const length = (this.parameters[index] as tf.Variable).size / gates.length;
              return gates.flatMap((owner, piece) =>
                owner === gate ? [[start + piece * length, length] as const] : [],
              );
            }),
          );
          let next = count;
          for (const spans of mine) {
            push(next, next + spans.length, 0, 0);
            next += spans.length;
          }
          for (const [start, length] of mine.flat()) push(start, length, 0, 0);
        },
      );
      const before: tf.TensorInfo | null = sum;
      sum = runShader(backend, {
        ...program,
        key: `gateGradient ${name} ${before !== null}`,
        inputs: [
          { name: "gradients", tensor: group.gradients },
          { name: "values", tensor: group.values.whole },
          { name: "spans", tensor: table, components: 4 },
          ...(before ? [{ name: "before", tensor: before }] : []),
        ],
        shape: [count],
        invocations: count * lanes,
        integers: { count },
        floats: { factor },
        code: () => `
          ${reductions}
          fn main(index : i32) {
            let wanted = index / ${lanes};
            let lane = index % ${lanes};
            // no early return: barriers follow
            let gate = min(wanted, uniforms.count - 1);
            let own = spans[gate];
            var part = 0.0;
            for (var s = own.x; s < own.y; s += 1) {
              let span = spans[s];
              for (var i = span.x + lane; i < span.x + span.y; i += ${lanes}) { part += gradients[i] * values[i]; }
            }
            let whole = total(part) * uniforms.factor;
            if (lane == 0 && wanted < uniforms.count) {
              result[gate] = whole${before ? " + before[gate]" : ""};
            }
          }
        `,
      });
      if (before) backend.disposeData(before.dataId);
    }
    return tf.engine().makeTensorFromTensorInfo(sum as tf.TensorInfo) as tf.Tensor1D;
  }

  gradient(index: number): tf.Tensor {
    const { group, start } = this.#place(index);
    const { size, shape } = this.parameters[index] as tf.Variable;
    return tf.tidy(() => tf.reshape(tf.slice1d(group.gradients, start, size), shape));
  }

  update(changes: readonly Change[], scaleOf: (index: number) => tf.Tensor1D | null): void {
    const backend = this.#backend;
    const { workgroup } = variantOf(backend);
    this.steps += 1;
    const rates = Object.fromEntries(changes.map(({ learningRate }, i) => [`rate${i}`, learningRate]));
    const rateOf = changes
      .map((_, i) => `uniforms.rate${i}`)
      .reduceRight((rest, rate, i) => `select(${rest}, ${rate}, span.w == ${i})`);
    for (const group of this.#groups) {
      const here = changes.map(({ indices }) =>
        indices.filter((index) => this.#place(index).group === group),
      );
      const scales =
        here
          .flat()
          .map(scaleOf)
          .find((scale) => scale !== null) ?? null;
      const positions = here.map((indices) =>
        indices.map((index) => {
          const scale = scaleOf(index);
          return scale ? { at: placeOf(backend, scale).start, pieces: scale.size } : null;
        }),
      );
      const key = here.map((indices, i) =>
        indices.map((index, j) => `${index}:${positions[i]![j]?.at ?? ""}`),
      );
      const { table, count } = this.#table(`update ${key.join(" / ")}`, group, (push) => {
        here.forEach((indices, i) => {
          indices.forEach((index, j) => {
            const scale = positions[i]![j];
            const length = (this.parameters[index] as tf.Variable).size / (scale?.pieces ?? 1);
            for (let piece = 0; piece < (scale?.pieces ?? 1); piece++) {
              for (const [start, count] of this.#spans(index, piece * length, length))
                push(start, count, scale ? scale.at + piece : -1, i);
            }
          });
        });
      });
      if (count === 0) continue;
      dispatch(backend, {
        key: `update ${this.#rule.kind} ${changes.length} ${scales !== null}`,
        bindings: [
          { name: "values", tensor: group.values.whole, writes: true },
          ...group.moments.map(({ whole }, i) => ({
            name: `moment${i}`,
            tensor: whole,
            writes: true as const,
          })),
          { name: "gradients", tensor: group.gradients },
          { name: "spans", tensor: table, components: 4 },
          ...(scales ? [{ name: "scales", tensor: placeOf(backend, scales).block }] : []),
        ],
        invocations: count * workgroup,
        workgroup,
        integers: { count },
        ...this.#ruleUniforms(rates),
        code: () => `
          fn main(index : i32) {
            let at = index / ${workgroup};
            if (at >= uniforms.count) { return; }
            let span = spans[at];
            let rate = ${rateOf};
            let scale = ${scales ? "select(1.0, scales[max(span.z, 0)], span.z >= 0)" : "1.0"};
            for (var i = span.x + index % ${workgroup}; i < span.x + span.y; i += ${workgroup}) {
              let g = gradients[i] * scale;
              ${ruleCode[this.#rule.kind]}
            }
          }
        `,
      });
    }
    this.discard();
  }

  discard(): void {
    this.#fresh = true;
    this.#parts.fill(0);
  }

  dispose(): void {
    for (const parameter of this.parameters) {
      if (parameter.isDisposed) continue;
      const info = this.#backend.makeTensorInfo(parameter.shape, "float32");
      const own = tf.engine().makeTensorFromTensorInfo(info);
      copyInto(this.#backend, own, parameter);
      parameter.assign(own);
      own.dispose();
    }
    tf.dispose(Object.values(this.moments));
    for (const { values, moments, gradients } of this.#groups) {
      tf.dispose([values.whole, ...moments.map(({ whole }) => whole), gradients]);
    }
    tf.dispose([...this.#tables.values()].map(({ table }) => table));
  }

  #place(index: number): { group: Group; start: number } {
    return this.#places[index] as { group: Group; start: number };
  }

  /** A share of a parameter, by default all of it, cut into what one workgroup deals with: starts and lengths. */
  #spans(index: number, from = 0, length = (this.parameters[index] as tf.Variable).size): [number, number][] {
    const { start } = this.#place(index);
    const spans: [number, number][] = [];
    for (let at = 0; at < length; at += spanLength)
      spans.push([start + from + at, Math.min(spanLength, length - at)]);
    return spans;
  }

  /** An int32 table [count, 4], made once and kept. */
  #table(
    name: string,
    group: Group,
    fill: (push: (x: number, y: number, z: number, w: number) => void) => void,
  ): { table: tf.Tensor2D; count: number } {
    const key = `${this.#groups.indexOf(group)} ${name}`;
    const found = this.#tables.get(key);
    if (found) return found;
    const rows: number[] = [];
    fill((...row) => rows.push(...row));
    const count = rows.length / 4;
    const table = tf.keep(tf.tensor2d(count === 0 ? [0, 0, 0, 0] : rows, [Math.max(1, count), 4], "int32"));
    const made = { table, count };
    this.#tables.set(key, made);
    return made;
  }

  #ruleUniforms(rates: Record<string, number>): {
    floats: Record<string, number>;
    changing: Record<string, number>;
  } {
    const rule = this.#rule;
    if (rule.kind === "sgd") return { floats: { momentum: rule.momentum }, changing: rates };
    const { weightDecay, beta1, beta2, epsilon } = rule;
    return {
      floats: { weightDecay, beta1, beta2, epsilon },
      changing: {
        ...rates,
        unbias1: 1 / (1 - beta1 ** this.steps),
        unbias2: 1 / Math.sqrt(1 - beta2 ** this.steps),
      },
    };
  }
}

/** One number's update by its gradient g: AdamW and SGD as in ../optimiser.ts. */
const ruleCode: Record<UpdateRule["kind"], string> = {
  adamw: `
    let mean = uniforms.beta1 * moment0[i] + (1.0 - uniforms.beta1) * g;
    let square = uniforms.beta2 * moment1[i] + (1.0 - uniforms.beta2) * g * g;
    moment0[i] = mean;
    moment1[i] = square;
    values[i] = (1.0 - rate * uniforms.weightDecay) * values[i]
      - rate * (mean * uniforms.unbias1) / (sqrt(square) * uniforms.unbias2 + uniforms.epsilon);
  `,
  sgd: `
    let velocity = uniforms.momentum * moment0[i] + g;
    moment0[i] = velocity;
    values[i] -= rate * velocity;
  `,
};

/** Consecutive parameters, as many to a share as fit. */
function shareOut(sizes: number[], most: number): number[][] {
  const shares: number[][] = [];
  let left = 0;
  sizes.forEach((size, index) => {
    if (size > left || shares.length === 0) {
      shares.push([]);
      left = most;
    }
    (shares.at(-1) as number[]).push(index);
    left -= size;
  });
  return shares;
}
