// Runs a test file's cases on both backends, WASM and a real WebGPU device. Without an adapter tests fail.
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { type Backend, openBackend } from "../backend.ts";
import { throwIfFaulty } from "../faults.ts";
import { provideSoftwareGpu } from "./software_gpu.ts";

/**
 * Declares the same tests for each backend. After every test the device must have reported no fault and no tensor may
 * be left over.
 */
export function onEveryBackend(declare: (backend: "wasm" | "webgpu") => void): void {
  for (const name of ["wasm", "webgpu"] as const) {
    describe(`on ${name}`, () => {
      let backend: Backend;
      let tensors = 0;
      beforeAll(async () => {
        if (name === "webgpu") provideSoftwareGpu();
        backend = await openBackend(name);
        expect(backend.name).toBe(name);
      });
      beforeEach(() => {
        tensors = tf.memory().numTensors;
      });
      afterEach(() => {
        throwIfFaulty();
        expect(tf.memory().numTensors, "tensors left behind by the test").toBe(tensors);
      });
      afterAll(() => backend?.close());
      declare(name);
    });
  }
}
