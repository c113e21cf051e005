// How a WGSL program of ours runs on the device behind tfjs's WebGPU backend. Programs are compiled, bound and encoded
// here, into tfjs's own command encoder so that order holds; tfjs's `runWebGPUProgram` knows only one output, whole
// buffers and no `enable`. The code sees its bindings by name, scalars as `uniforms.NAME`, and defines
// `fn main(index : i32)`, dispatched flat; `localIndex` and `groupIndex` say where in which workgroup it runs, with
// subgroups `subgroupLane` of `subgroupLanes` where in its subgroup. Shapes
// and scalars travel as uniforms, so that one pipeline serves every size; only what changes the code itself belongs
// into the key.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Attributes } from "../body.ts";
import { OutOfMemory, reportShaderError } from "../faults.ts";
import { halvesCode } from "./halves.ts";
import { variantOf } from "./variants.ts";

export interface Binding {
  name: string;
  tensor: tf.TensorInfo;
  /** Components of one array element. */
  components?: 1 | 2 | 4 | undefined;
  /** Element type, where it is not the tensor's own: packed data lies in int32 tensors. */
  type?: "u32" | undefined;
  /** The code reads f16 pairs as they lie (halves.ts); any other binding of such a tensor is unpacked for it. */
  halves?: boolean;
  /** The code writes it where it lies. */
  writes?: true;
}

export interface Program {
  /** Unique for the code: name and every choice that was baked in. */
  key: string;
  bindings: Binding[];
  /** Invocations wanted; `index` runs from 0 up to this, rounded up to whole workgroups. */
  invocations: number;
  workgroup: number;
  /** Scalar uniforms by name; integers are i32, the rest f32. */
  integers?: Record<string, number>;
  floats?: Record<string, number>;
  /** Floats that differ from step to step. */
  changing?: Record<string, number>;
  /** WGSL extensions the code needs; the device must have been opened with their features. */
  enable?: readonly string[];
  code: () => string;
}

export interface Shader extends Omit<Program, "bindings"> {
  inputs: Binding[];
  /** Components of one element of `result`. */
  outputComponents?: 1 | 2 | 4;
  shape: number[];
  dtype?: "float32" | "int32";
}

/** Runs a program with one new output, `result`; returns that. */
export function runShader(backend: WebGPUBackend, shader: Shader): tf.TensorInfo {
  const result = backend.makeTensorInfo(shader.shape, shader.dtype ?? "float32");
  const { inputs, outputComponents, ...program } = shader;
  dispatch(backend, {
    ...program,
    bindings: [{ name: "result", tensor: result, components: outputComponents, writes: true }, ...inputs],
  });
  return result;
}

/** What tfjs keeps to itself and an own dispatch has to take part in. */
interface Internals {
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  commandQueueOwnedIds: WeakSet<object>;
  uniformPendingDisposal: GPUBuffer[];
}

/** What tfjs knows of a tensor; `view` and `block` (block.ts) and `halves` (halves.ts) are ours. */
export interface Stored {
  resource: GPUBuffer;
  dtype: tf.DataType;
  shape: number[];
  values: unknown;
  external?: boolean;
  view?: { offset: number; size: number };
  block?: tf.TensorInfo;
  halves?: boolean;
}

interface Compiled {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  /** What it was run on, by buffers and offsets. */
  bindGroups: Map<string, GPUBindGroup>;
}

/** What is kept for a device: pipelines by key, made and being made, and uniforms that do not change by their content. */
interface Kept {
  pipelines: Map<string, Compiled>;
  preparing: Map<string, Promise<void>>;
  uniforms: Map<string, GPUBuffer>;
}

const keptFor = new WeakMap<GPUDevice, Kept>();
/** Constant uniforms kept at most; a run needs a few hundred. */
const mostUniforms = 4096;

/** Bind groups kept at most for each pipeline. */
const mostBindGroups = 1024;

const identities = new WeakMap<GPUBuffer, number>();
let identified = 0;

/** A number for each buffer, older ones first. */
export function identify(buffer: GPUBuffer): number {
  let id = identities.get(buffer);
  if (id === undefined) {
    identified += 1;
    id = identified;
    identities.set(buffer, id);
  }
  return id;
}

let watcher: ((key: string) => void) | null = null;

/** Calls `listener` with the key of every program that is dispatched, until called with null; for profiles. */
export function watchDispatches(listener: ((key: string) => void) | null): void {
  watcher = listener;
}

/** Encodes a program. What it writes lies on the device when later commands run. `times` is for measurements. */
export function dispatch(backend: WebGPUBackend, program: Program, times = 1): void {
  encode(backend, program, times);
  const { dispatchCountInPass } = backend as unknown as Internals;
  if (dispatchCountInPass >= variantOf(backend).submitAfter) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
}

/** Encodes a program and sends nothing. */
function encode(backend: WebGPUBackend, program: Program, times: number): void {
  const { device } = backend;
  const internals = backend as unknown as Internals;
  const kept = keptOf(device);
  watcher?.(program.key);

  const bound = program.bindings.map(({ tensor, halves }) => (halves ? tensor : asNumbers(backend, tensor)));
  const entries = program.bindings.map(({ writes }, binding) => {
    const tensor = bound[binding] as tf.TensorInfo;
    const stored = storedOf(backend, tensor);
    // tfjs keeps a copy of what was read back; after an update in place that copy is stale.
    if (writes) stored.values = null;
    internals.commandQueueOwnedIds.add(tensor.dataId);
    const size = stored.view?.size ?? stored.resource.size;
    if (size > device.limits.maxStorageBufferBindingSize) {
      throw new OutOfMemory(
        `${size} bytes for ${program.key}, of which it binds ${device.limits.maxStorageBufferBindingSize} at once`,
      );
    }
    if (stored.block) internals.commandQueueOwnedIds.add(stored.block.dataId);
    return { binding, resource: { buffer: stored.resource, ...stored.view } };
  });
  const uniforms = uniformsFor(backend, internals, kept, program);
  if (uniforms) entries.push({ binding: entries.length, resource: { buffer: uniforms } });

  const { pipeline, layout, bindGroups } = compiled(device, kept, program);
  // A run repeats its steps on the same buffers, and making a bind group costs more than all the rest of a dispatch.
  const places = entries
    .map(({ resource }) => `${identify(resource.buffer)}:${resource.offset ?? 0}:${resource.size ?? ""}`)
    .join();
  let bindGroup = bindGroups.get(places);
  if (!bindGroup) {
    bindGroup = device.createBindGroup({ layout, entries });
    if (bindGroups.size >= mostBindGroups) bindGroups.clear();
    bindGroups.set(places, bindGroup);
  }
  backend.ensureCommandEncoderReady();
  internals.computePassEncoder ??= (internals.commandEncoder as GPUCommandEncoder).beginComputePass();
  internals.computePassEncoder.setPipeline(pipeline);
  internals.computePassEncoder.setBindGroup(0, bindGroup);
  const groups = Math.max(1, Math.ceil(program.invocations / program.workgroup));
  const across = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
  for (let i = 0; i < times; i++) {
    internals.computePassEncoder.dispatchWorkgroups(across, Math.ceil(groups / across));
  }
  internals.dispatchCountInPass += 1;
}

/** Whether a tensor lies on the device as f16 pairs. */
export function isHalves(backend: WebGPUBackend, tensor: tf.TensorInfo): boolean {
  return (backend.tensorMap.get(tensor.dataId) as unknown as Stored | undefined)?.halves === true;
}

/** The tensor itself, or what its f16 pairs say as f32, which is gone once what has been encoded is sent. */
export function asNumbers(backend: WebGPUBackend, tensor: tf.TensorInfo): tf.TensorInfo {
  if (!isHalves(backend, tensor)) return tensor;
  const numbers = backend.makeTensorInfo(tensor.shape, "float32");
  const count = tensor.shape.reduce((a, b) => a * b, 1) / 4;
  const program: Program = {
    key: "unpackHalves",
    bindings: [
      { name: "result", tensor: numbers, components: 4, writes: true },
      { name: "pairs", tensor, components: 2, type: "u32", halves: true },
    ],
    invocations: count,
    workgroup: variantOf(backend).workgroup,
    integers: { count },
    code: () => `
      ${halvesCode("pairs")}
      fn main(index : i32) {
        if (index < uniforms.count) { result[index] = pairsFour(index); }
      }
    `,
  };
  // Nothing may be sent before the numbers are used.
  encode(backend, program, 1);
  backend.disposeData(numbers.dataId);
  return numbers;
}

function keptOf(device: GPUDevice): Kept {
  let kept = keptFor.get(device);
  if (!kept) {
    kept = { pipelines: new Map(), preparing: new Map(), uniforms: new Map() };
    keptFor.set(device, kept);
  }
  return kept;
}

/** Lets go of the uniforms that were kept. */
export function forgetUniforms(backend: WebGPUBackend): void {
  const uniforms = keptFor.get(backend.device)?.uniforms;
  if (!uniforms) return;
  for (const buffer of uniforms.values()) backend.bufferManager.releaseBuffer(buffer);
  uniforms.clear();
}

/** A tensor's entry in tfjs's books, with its data on the device. */
export function storedOf(backend: WebGPUBackend, tensor: tf.TensorInfo): Stored {
  backend.uploadToGPU(tensor.dataId);
  return backend.tensorMap.get(tensor.dataId) as unknown as Stored;
}

/** Tells tfjs that encoded commands use this tensor, so that its buffer is not handed out again before they are sent. */
export function keepUntilSubmit(backend: WebGPUBackend, tensor: tf.TensorInfo): void {
  const { commandQueueOwnedIds } = backend as unknown as Internals;
  commandQueueOwnedIds.add(tensor.dataId);
  const { block } = storedOf(backend, tensor);
  if (block) commandQueueOwnedIds.add(block.dataId);
}

/** An encoder outside of a pass, for copies. */
export function copyEncoder(backend: WebGPUBackend): GPUCommandEncoder {
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  return (backend as unknown as Internals).commandEncoder as GPUCommandEncoder;
}

/** Sends what has been encoded, so that writes of the queue come after it. */
export function flush(backend: WebGPUBackend): void {
  if (!(backend as unknown as Internals).commandEncoder) return;
  backend.endComputePassEncoder();
  backend.submitQueue();
}

function uniformsFor(
  backend: WebGPUBackend,
  internals: Internals,
  kept: Kept,
  { integers = {}, floats = {}, changing = {} }: Program,
): GPUBuffer | null {
  const whole = Object.values(integers);
  const rest = [...Object.values(floats), ...Object.values(changing)];
  const count = whole.length + rest.length;
  if (count === 0) return null;
  const bytes = new ArrayBuffer(16 * Math.ceil(count / 4));
  new Int32Array(bytes).set(whole);
  new Float32Array(bytes).set(rest, whole.length);
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM;
  const constant = Object.keys(changing).length === 0;
  const content = constant ? new Uint32Array(bytes).join() : "";
  const found = constant ? kept.uniforms.get(content) : undefined;
  if (found) return found;
  const buffer = backend.bufferManager.acquireBuffer(bytes.byteLength, usage);
  backend.queue.writeBuffer(buffer, 0, bytes);
  if (constant && kept.uniforms.size < mostUniforms) kept.uniforms.set(content, buffer);
  else internals.uniformPendingDisposal.push(buffer);
  return buffer;
}

/** Compiles a program without waiting for it here; running it then costs what it costs later. */
export async function prepare(backend: WebGPUBackend, program: Program): Promise<void> {
  const { device } = backend;
  const { pipelines, preparing } = keptOf(device);
  const key = pipelineKey(program);
  if (pipelines.has(key)) return;
  let made = preparing.get(key);
  if (!made) {
    const { layout, descriptor } = describe(device, program);
    made = device
      .createComputePipelineAsync(descriptor)
      .then((pipeline) => void pipelines.set(key, { pipeline, layout, bindGroups: new Map() }))
      .finally(() => preparing.delete(key));
    preparing.set(key, made);
  }
  await made;
}

function compiled(device: GPUDevice, kept: Kept, program: Program): Compiled {
  const key = pipelineKey(program);
  const found = kept.pipelines.get(key);
  if (found) return found;
  // A shader that does not compile is reported under its own name; without the scope only a later submit would fail.
  device.pushErrorScope("validation");
  const { layout, descriptor } = describe(device, program);
  const pipeline = device.createComputePipeline(descriptor);
  void device.popErrorScope().then(
    (error) => error && reportShaderError(device, program.key, error),
    // The device went away; that is reported by itself.
    () => {},
  );
  const made = { pipeline, layout, bindGroups: new Map() };
  kept.pipelines.set(key, made);
  return made;
}

const pipelineKey = ({ key, bindings, workgroup }: Program) =>
  `${key} | ${bindings.map((b) => `${typeOf(b)} ${b.name}`)} | ${workgroup}`;

function describe(
  device: GPUDevice,
  program: Program,
): { layout: GPUBindGroupLayout; descriptor: GPUComputePipelineDescriptor } {
  const { bindings, workgroup } = program;
  const integers = Object.keys(program.integers ?? {});
  const floats = [...Object.keys(program.floats ?? {}), ...Object.keys(program.changing ?? {})];
  const hasUniforms = integers.length + floats.length > 0;
  // Counted, because what a driver calls a subgroup's size may be the largest that it could have been.
  const subgroups = program.enable?.includes("subgroups");
  const code = `
    ${(program.enable ?? []).map((extension) => `enable ${extension};`).join("\n")}
    ${bindings
      .map(
        (b, i) =>
          `@group(0) @binding(${i}) var<storage, ${b.writes ? "read_write" : "read"}> ${b.name} : array<${typeOf(b)}>;`,
      )
      .join("\n")}
    ${
      hasUniforms
        ? `struct Uniforms { ${[...integers.map((n) => `${n} : i32`), ...floats.map((n) => `${n} : f32`)].join(", ")} }
    @group(0) @binding(${bindings.length}) var<uniform> uniforms : Uniforms;`
        : ""
    }
    var<private> localIndex : u32;
    var<private> groupIndex : u32;
    ${subgroups ? "var<private> subgroupLane : u32;\n    var<private> subgroupLanes : u32;" : ""}
    ${program.code()}
    @compute @workgroup_size(${workgroup})
    fn start(
      @builtin(local_invocation_index) local : u32,
      @builtin(workgroup_id) group : vec3<u32>,
      @builtin(num_workgroups) groups : vec3<u32>,
      ${subgroups ? "@builtin(subgroup_invocation_id) lane : u32," : ""}
    ) {
      ${subgroups ? "subgroupLane = lane; subgroupLanes = subgroupAdd(1u);" : ""}
      localIndex = local;
      groupIndex = group.y * groups.x + group.x;
      main(i32(groupIndex * ${workgroup}u + local));
    }
  `;
  const visibility = GPUShaderStage.COMPUTE;
  const layout = device.createBindGroupLayout({
    entries: [
      ...bindings.map((b, binding) => ({
        binding,
        visibility,
        buffer: { type: (b.writes ? "storage" : "read-only-storage") as GPUBufferBindingType },
      })),
      ...(hasUniforms
        ? [{ binding: bindings.length, visibility, buffer: { type: "uniform" as GPUBufferBindingType } }]
        : []),
    ],
  });
  return {
    layout,
    descriptor: {
      label: program.key,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code, label: program.key }), entryPoint: "start" },
    },
  };
}

function typeOf({ tensor, components = 1, type }: Binding): string {
  const scalar = type ?? (tensor.dtype === "float32" ? "f32" : "i32");
  return components === 1 ? scalar : `vec${components}<${scalar}>`;
}

/** Registers the WebGPU body of an op (see body.ts). */
export function registerBody(
  name: string,
  body: (
    inputs: Record<string, tf.TensorInfo>,
    attributes: Attributes,
    backend: WebGPUBackend,
  ) => tf.TensorInfo | [],
): void {
  tf.registerKernel({
    kernelName: `Selora${name}`,
    backendName: "webgpu",
    kernelFunc: ({ inputs, attrs, backend }) =>
      body(inputs as Record<string, tf.TensorInfo>, attrs as Attributes, backend as WebGPUBackend),
  });
}

/** Whether every number is a multiple of 4, so that data may be read as vec4. */
export function fours(...numbers: number[]): boolean {
  return numbers.every((n) => n % 4 === 0);
}

/** Runs `code(i)` for i in 0..count and joins the lines: loops unrolled while the shader is written. */
export function unroll(count: number, code: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => code(i)).join("\n");
}
