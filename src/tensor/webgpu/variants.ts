// Which form of a kernel runs on which adapter: the one table. Software adapters want few, large, independent
// invocations; GPUs want many threads. Figures come from bench/.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";

export interface Variant {
  /** Register tile of C and workgroup size of a product. */
  product(size: { rows: number; columns: number; pieces: number; byFour: boolean }): {
    tile: { rows: number; columns: number };
    workgroup: number;
  };
  /** Invocations of a workgroup where each deals with an element or a row of its own. */
  workgroup: number;
  /** Invocations that share one row where a row is summed. */
  lanesPerRow: number;
  /** Tokens an invocation of attention deals with at most. */
  attentionRows: number;
}

const software: Variant = {
  product({ columns, byFour }) {
    // Loads are what costs: 8 x 16 makes a quarter fewer than 8 x 8 and still compiles in 0.4 s. Matrices that cannot
    // be read by fours compile four times the loads, so they get the smaller tile.
    const wide = columns > 12 && byFour ? 16 : columns > 8 && byFour ? 12 : columns > 4 ? 8 : 4;
    return { tile: { rows: wide > 4 ? 8 : 16, columns: wide }, workgroup: 8 };
  },
  workgroup: 8,
  lanesPerRow: 1,
  attentionRows: 4,
};

const hardware: Variant = {
  product({ rows, columns, pieces }) {
    // Too few tiles leave the GPU idle; then smaller ones.
    const large = Math.ceil(rows / 8) * Math.ceil(columns / 8) * pieces >= 8192;
    return { tile: large ? { rows: 8, columns: 8 } : { rows: 4, columns: 4 }, workgroup: 64 };
  },
  workgroup: 64,
  lanesPerRow: 64,
  attentionRows: 1,
};

/** The variant for the adapter a backend runs on. */
export function variantOf(backend: WebGPUBackend): Variant {
  return softwareDevices.has(backend.device) ? software : hardware;
}

const softwareDevices = new WeakSet<GPUDevice>();

/** Notes that a device computes on the CPU. */
export function markSoftware(device: GPUDevice): void {
  softwareDevices.add(device);
}
