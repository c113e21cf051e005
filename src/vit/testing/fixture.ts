// The networks that interop/make_fixtures_training.py writes, on the device.
import { type Fixture, readFixture } from "../../checkpoint/testing/fixture.ts";
import type { Architecture } from "../../checkpoint/types.ts";
import type { VitWeights } from "../types.ts";
import { loadVit } from "../weights.ts";

/** One of the small random networks: "vit", "deit" or "variant". */
export function networkFixture(name: string): Promise<Fixture> {
  return readFixture(new URL(`../fixtures/${name}.safetensors`, import.meta.url));
}

/** The fixture's network on the current backend. */
export function loadFixtureNetwork(fixture: Fixture): Promise<VitWeights> {
  return loadVit(
    { pooling: "cls", ...fixture.json<Omit<Architecture, "pooling">>("architecture") },
    { mean: fixture.json("mean"), std: fixture.json("std") },
    async (role) => fixture.values(role),
  );
}

/** max |a - b| / max |b|: one number for a gradient's relative error. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    const gap = Math.abs((a[i] as number) - (b[i] as number));
    if (Number.isNaN(gap)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, gap);
    size = Math.max(size, Math.abs(b[i] as number));
  }
  return size === 0 ? difference : difference / size;
}
