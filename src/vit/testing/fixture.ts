// Reads the fixtures that interop/make_fixtures_training.py writes, and puts their networks on the device.
import { openAsBlob } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../../checkpoint/safetensors.ts";
import type { Architecture } from "../../checkpoint/types.ts";
import type { VitWeights } from "../types.ts";
import { loadVit } from "../weights.ts";

export interface Fixture {
  /** Values as f32 (bytes and integers too), by name. */
  values(name: string): Float32Array;
  shape(name: string): number[];
  names: string[];
  /** One entry of the metadata. */
  json<T>(key: string): T;
}

/** @param url e.g. `new URL("./fixtures/vit.safetensors", import.meta.url)` */
export async function readFixture(url: URL): Promise<Fixture> {
  const path = fileURLToPath(url);
  const { tensors, metadata } = await readSafetensors(await openAsBlob(path), path);
  const all = new Map<string, { shape: number[]; data: Float32Array }>();
  for (const { name, dtype, shape, bytes } of tensors) {
    const buffer = await bytes.arrayBuffer();
    const data =
      dtype === "F32"
        ? new Float32Array(buffer)
        : Float32Array.from(dtype === "U8" ? new Uint8Array(buffer) : new Int32Array(buffer));
    all.set(name, { shape, data });
  }
  const find = (name: string) => {
    const found = all.get(name);
    if (!found) throw new Error(`${path} has no tensor ${name}`);
    return found;
  };
  return {
    values: (name) => find(name).data,
    shape: (name) => find(name).shape,
    names: [...all.keys()],
    json: (key) => JSON.parse(metadata.fixture as string)[key],
  };
}

/** One of the small random networks: "vit", "deit" or "variant". */
export function networkFixture(name: string): Promise<Fixture> {
  return readFixture(new URL(`../fixtures/${name}.safetensors`, import.meta.url));
}

/** The fixture's network on the current backend. */
export function loadFixtureNetwork(fixture: Fixture): Promise<VitWeights> {
  return loadVit(
    fixture.json<Architecture>("architecture"),
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
