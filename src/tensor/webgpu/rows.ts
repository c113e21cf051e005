// Sums over a row, for ops that normalise one: by one invocation on software adapters, where a barrier is dear, and by
// a workgroup with a shared tree on GPUs. `total` and `largest` combine what each lane has gathered.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import { variantOf } from "./variants.ts";

/** Lanes that share one row; also the workgroup size where there is more than one. */
export function lanesPerRow(backend: WebGPUBackend): number {
  return variantOf(backend).lanesPerRow;
}

/** WGSL: `fn total(v : f32) -> f32` and `fn largest(v : f32) -> f32` over the lanes of a row. */
export function rowReductions(lanes: number): string {
  if (lanes === 1) {
    return `
      fn total(v : f32) -> f32 { return v; }
      fn largest(v : f32) -> f32 { return v; }
    `;
  }
  const tree = (name: string, combine: string) => `
    fn ${name}(v : f32) -> f32 {
      shared_[localIndex] = v;
      for (var half = ${lanes / 2}u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (localIndex < half) {
          let mine = shared_[localIndex];
          let other = shared_[localIndex + half];
          shared_[localIndex] = ${combine};
        }
      }
      workgroupBarrier();
      let all = shared_[0];
      workgroupBarrier();
      return all;
    }
  `;
  return `
    var<workgroup> shared_ : array<f32, ${lanes}>;
    ${tree("total", "mine + other")}
    ${tree("largest", "max(mine, other)")}
  `;
}
