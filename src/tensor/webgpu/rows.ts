// Sums over a row, for ops that normalise one: by one invocation on software adapters, where a barrier is dear, and by
// a workgroup on GPUs, with subgroups where they are offered and else with a shared tree.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import { variantOf } from "./variants.ts";

/** How rows are dealt with on a device. */
export interface ByRow {
  /** Invocations that share one row. */
  lanes: number;
  /** For a program's key. */
  name: string;
  program: { workgroup: number; enable: readonly string[] };
  /**
   * WGSL: `fn total(v : f32) -> f32` and `fn largest(v : f32) -> f32` over the lanes of a row, for all of them. Both have
   * barriers.
   */
  reductions: string;
}

export function byRow(backend: WebGPUBackend): ByRow {
  const { lanesPerRow: lanes, workgroup, subgroups } = variantOf(backend);
  if (lanes === 1) {
    return {
      lanes,
      name: "1",
      program: { workgroup, enable: [] },
      reductions: `
        fn total(v : f32) -> f32 { return v; }
        fn largest(v : f32) -> f32 { return v; }
      `,
    };
  }
  const reduction = subgroups ? inSubgroups : tree;
  return {
    lanes,
    name: `${lanes}${subgroups ? " subgroups" : ""}`,
    program: { workgroup: lanes, enable: subgroups ? ["subgroups"] : [] },
    reductions: `
      var<workgroup> shared_ : array<f32, ${lanes}>;
      ${reduction(lanes, "total", (mine, other) => `${mine} + ${other}`, "subgroupAdd", "0.0")}
      ${reduction(lanes, "largest", (mine, other) => `max(${mine}, ${other})`, "subgroupMax", "-3.4e38")}
    `,
  };
}

function tree(lanes: number, name: string, combine: (mine: string, other: string) => string): string {
  return `
    fn ${name}(v : f32) -> f32 {
      shared_[localIndex] = v;
      for (var half = ${lanes / 2}u; half > 0u; half = half / 2u) {
        workgroupBarrier();
        if (localIndex < half) {
          let mine = shared_[localIndex];
          let other = shared_[localIndex + half];
          shared_[localIndex] = ${combine("mine", "other")};
        }
      }
      workgroupBarrier();
      let all = shared_[0];
      workgroupBarrier();
      return all;
    }
  `;
}

/** Every subgroup combines what all lanes have, so that it does not matter which of them a subgroup holds. */
function inSubgroups(
  lanes: number,
  name: string,
  combine: (mine: string, other: string) => string,
  subgroupCombine: string,
  neutral: string,
): string {
  return `
    fn ${name}(v : f32) -> f32 {
      shared_[localIndex] = v;
      workgroupBarrier();
      var part = ${neutral};
      for (var i = subgroupLane; i < ${lanes}u; i += subgroupLanes) { part = ${combine("part", "shared_[i]")}; }
      let all = ${subgroupCombine}(part);
      workgroupBarrier();
      return all;
    }
  `;
}
