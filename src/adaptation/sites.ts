// The adapted sites of a network: where they are, which matrices each holds, and which gate switches each of those.
import type { Architecture } from "../checkpoint/types.ts";
import type { Site } from "../vit/types.ts";
import { matrixShape } from "./gates.ts";
import type { AdapterShape, Gate, Matrix } from "./types.ts";

/** The matrices of a site, in the order of its pieces. */
export const siteMatrices: Record<Site, readonly Matrix[]> = {
  qkv: ["q", "k", "v"],
  o: ["o"],
  fc1: ["fc1"],
  fc2: ["fc2"],
};

export interface GatedSite extends AdapterShape {
  /** Gate of each piece. */
  readonly gates: readonly number[];
}

/** Every site that has a gate, in the order of the forward pass. */
export function listSites(architecture: Architecture, gates: readonly Gate[]): GatedSite[] {
  return Array.from({ length: architecture.layers }, (_, layer) =>
    (["qkv", "o", "fc1", "fc2"] as const).flatMap((site): GatedSite[] => {
      const matrices = siteMatrices[site];
      const owners = matrices.map((matrix) =>
        gates.findIndex((gate) => gate.layer === layer && gate.matrices.includes(matrix)),
      );
      if (owners.includes(-1)) return [];
      const [out, input] = matrixShape(architecture, matrices[0] as Matrix);
      return [{ layer, site, pieces: matrices.length, out: out * matrices.length, in: input, gates: owners }];
    }),
  ).flat();
}
