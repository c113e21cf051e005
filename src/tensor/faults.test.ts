// Faults must be heard: a broken shader, numbers that are not finite, a device that is lost.
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { Failure } from "../failure.ts";
import { type Backend, openBackend } from "./backend.ts";
import { checkFinite, throwIfFaulty, withErrorScopes } from "./faults.ts";
import { provideSoftwareGpu } from "./testing/software_gpu.ts";

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Failure).parts.code;
  }
  return "nothing thrown";
}

describe("checkFinite", () => {
  it("lets numbers through and names the place of what is none", () => {
    expect(checkFinite(1.5, "loss")).toBe(1.5);
    expect(codeOf(() => checkFinite(Number.NaN, "loss at step 3"))).toBe("numeric");
    expect(() => checkFinite(Number.POSITIVE_INFINITY, "loss at step 3")).toThrow(/loss at step 3.*infinite/);
  });
});

describe("a WebGPU device", () => {
  let backend: Backend;
  beforeAll(provideSoftwareGpu);
  afterEach(() => backend.close());

  const brokenShader = (device: GPUDevice) =>
    device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code: "fn broken( {" }), entryPoint: "main" },
    });

  it("throws at the next number read after a shader that does not compile", async () => {
    backend = await openBackend("webgpu");
    brokenShader(backend.device!);
    await backend.device!.queue.onSubmittedWorkDone();
    expect(codeOf(() => checkFinite(0, "loss"))).toBe("gpu");
  });

  it("names what was being built inside an error scope", async () => {
    backend = await openBackend("webgpu");
    const failed = withErrorScopes(backend.device, "warm-up of attention", () =>
      brokenShader(backend.device!),
    );
    await expect(failed).rejects.toThrow(/warm-up of attention/);
    expect(codeOf(throwIfFaulty)).toBe("gpu");
  });

  it("forgets the faults of a device that was closed", async () => {
    backend = await openBackend("webgpu");
    brokenShader(backend.device!);
    await backend.close();
    backend = await openBackend("webgpu");
    expect(codeOf(throwIfFaulty)).toBe("nothing thrown");
    const x = tf.tensor1d([1, 2, 3]);
    const y = tf.square(x);
    expect(Array.from(await y.data())).toEqual([1, 4, 9]);
    tf.dispose([x, y]);
  });

  it("is lost loudly", async () => {
    backend = await openBackend("webgpu");
    expect(backend.lost).not.toBeNull();
    const device = backend.device as GPUDevice & { forceLoss?: (reason: string, message: string) => void };
    if (device.forceLoss) {
      device.forceLoss("unknown", "pulled the plug");
      expect(await backend.lost).toMatch(/plug/);
      expect(codeOf(throwIfFaulty)).toBe("lost");
    } else {
      // our own destroy is no fault
      await backend.close();
      expect(codeOf(throwIfFaulty)).toBe("nothing thrown");
    }
  });
});

it("withErrorScopes without a device only runs the work", async () => {
  expect(await withErrorScopes(null, "nowhere", () => 3)).toBe(3);
  expect(new Failure({ code: "gpu", what: "a", remedy: "b" })).toBeInstanceOf(Error);
});
