// WebGPU body of AdamW (../optimiser.ts): one program that changes a parameter and both its moments where they lie.
// A tfjs program has one output, so this one is bound and encoded by hand, into tfjs's own pass so that order holds.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { variantOf } from "./variants.ts";

/** What tfjs keeps to itself and an own dispatch has to take part in. */
interface Internals {
  commandEncoder: GPUCommandEncoder;
  computePassEncoder: GPUComputePassEncoder | null;
  dispatchCountInPass: number;
  commandQueueOwnedIds: WeakSet<object>;
  uniformPendingDisposal: GPUBuffer[];
}

const code = (workgroup: number) => `
  struct Uniforms {
    rate : f32, keep : f32, beta1 : f32, beta2 : f32, epsilon : f32, unbias1 : f32, unbias2 : f32, count : u32,
  }
  @group(0) @binding(0) var<storage, read_write> parameter : array<f32>;
  @group(0) @binding(1) var<storage, read_write> m : array<f32>;
  @group(0) @binding(2) var<storage, read_write> v : array<f32>;
  @group(0) @binding(3) var<storage, read> gradient : array<f32>;
  @group(0) @binding(4) var<uniform> u : Uniforms;
  @compute @workgroup_size(${workgroup})
  fn main(@builtin(global_invocation_id) id : vec3<u32>, @builtin(num_workgroups) groups : vec3<u32>) {
    for (var i = id.x; i < u.count; i += groups.x * ${workgroup}u) {
      let g = gradient[i];
      let mean = u.beta1 * m[i] + (1.0 - u.beta1) * g;
      let square = u.beta2 * v[i] + (1.0 - u.beta2) * g * g;
      m[i] = mean;
      v[i] = square;
      parameter[i] = u.keep * parameter[i] - u.rate * (mean * u.unbias1) / (sqrt(square) * u.unbias2 + u.epsilon);
    }
  }
`;

const pipelines = new WeakMap<GPUDevice, GPUComputePipeline>();

function pipelineOf(device: GPUDevice, workgroup: number): GPUComputePipeline {
  let pipeline = pipelines.get(device);
  if (!pipeline) {
    const module = device.createShaderModule({ code: code(workgroup), label: "adamw" });
    pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
    pipelines.set(device, pipeline);
  }
  return pipeline;
}

tf.registerKernel({
  kernelName: "SeloraAdamW",
  backendName: "webgpu",
  kernelFunc: ({ inputs, attrs, backend: anyBackend }) => {
    const backend = anyBackend as WebGPUBackend;
    const internals = backend as unknown as Internals;
    const { parameter, m, v, gradient } = inputs as Record<string, tf.TensorInfo>;
    const buffers = [parameter!, m!, v!, gradient!].map((tensor, i) => {
      backend.uploadToGPU(tensor.dataId);
      const data = backend.tensorMap.get(tensor.dataId) as { resource: GPUBuffer; values: unknown };
      // what was read back before this step is stale after it
      if (i < 3) data.values = null;
      internals.commandQueueOwnedIds.add(tensor.dataId);
      return data.resource;
    });
    const count = parameter!.shape.reduce((a, b) => a * b, 1);
    const settings = attrs as unknown as Record<string, number>;
    const values = new Float32Array(8);
    values.set(
      ["rate", "keep", "beta1", "beta2", "epsilon", "unbias1", "unbias2"].map((name) => settings[name]!),
    );
    new Uint32Array(values.buffer)[7] = count;
    const uniforms = backend.bufferManager.acquireBuffer(
      32,
      GPUBufferUsage.COPY_DST | GPUBufferUsage.UNIFORM,
    );
    backend.queue.writeBuffer(uniforms, 0, values);
    internals.uniformPendingDisposal.push(uniforms);

    const { workgroup } = variantOf(backend);
    const pipeline = pipelineOf(backend.device, workgroup);
    const bindGroup = backend.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [...buffers, uniforms].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    backend.ensureCommandEncoderReady();
    internals.computePassEncoder ??= internals.commandEncoder.beginComputePass();
    internals.computePassEncoder.setPipeline(pipeline);
    internals.computePassEncoder.setBindGroup(0, bindGroup);
    internals.computePassEncoder.dispatchWorkgroups(Math.min(Math.ceil(count / workgroup), 1024));
    internals.dispatchCountInPass += 1;
    if (internals.dispatchCountInPass >= tf.env().getNumber("WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE")) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
    return [];
  },
});
