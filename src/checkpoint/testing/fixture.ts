// Reads the safetensors fixtures of interop/: numbers, and one entry of JSON beside them.
import { openAsBlob } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../safetensors.ts";

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
