// A run's snapshot as a file: a safetensors file of its tensors, and what is no tensor as JSON in the file's header. Read
// back it is the same to the last bit. What is read is believed in nothing until it is checked.
import { z } from "zod";
import { readBytes, readSafetensors, writeSafetensors } from "../checkpoint/safetensors.ts";
import type { NamedTensor } from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";
import type { TrainerSnapshot } from "./types.ts";

/** Key of the header's metadata under which the structure lies. */
const STRUCTURE = "selora-snapshot";
/** Stands in the structure where an array lies in the file. */
interface Reference {
  $tensor: string;
}

const saved = z.record(
  z.string(),
  z.object({ shape: z.array(z.int().min(0)), data: z.instanceof(Float32Array) }),
);
const count = z.int().min(0);
/** Loose: what else the adaptation or the trainer keeps of itself goes through, and is theirs to check. */
const schema = z.looseObject({
  version: z.literal(1),
  step: count,
  adaptation: z.looseObject({
    tensors: saved,
    sensitivitySteps: count,
    frozen: z.instanceof(Uint8Array).nullable(),
  }),
  head: saved,
  probe: z.looseObject({
    weight: z.instanceof(Float32Array),
    bias: z.instanceof(Float32Array),
    classes: z.int().min(1),
    unit: z.boolean().optional(),
  }),
  optimiser: z.looseObject({ steps: count, moments: saved }),
});

/** Writes a snapshot. The tensors are copied into the file. */
export function writeSnapshot(snapshot: TrainerSnapshot): Blob {
  const tensors: NamedTensor[] = [];
  const strip = (value: unknown, path: string): unknown => {
    if (value instanceof Float32Array || value instanceof Uint8Array) {
      const bytes = new Blob([value as Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>]);
      const dtype = value instanceof Float32Array ? "F32" : "U8";
      tensors.push({ name: path, dtype, shape: [value.length], bytes });
      return { $tensor: path } satisfies Reference;
    }
    if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, strip(inner, path === "" ? key : `${path}/${key}`)]),
    );
  };
  const structure = strip(snapshot, "");
  return writeSafetensors(tensors, { [STRUCTURE]: JSON.stringify(structure) });
}

/**
 * Reads what `writeSnapshot` wrote.
 * @throws Failure "bad-file" when it is not whole, or something else
 */
export async function readSnapshot(file: Blob): Promise<TrainerSnapshot> {
  const where = "the saved run";
  const bad = (cause?: unknown) =>
    new Failure(
      {
        code: "bad-file",
        what: "What was saved of the run cannot be read.",
        where,
        remedy: "Start the run anew.",
      },
      { cause },
    );
  const { tensors, metadata } = await readSafetensors(file, where);
  const arrays = new Map<string, Float32Array | Uint8Array>();
  for (const { name, dtype, bytes } of tensors) {
    const buffer = await readBytes(bytes, where);
    if (dtype === "F32") arrays.set(name, new Float32Array(buffer));
    else if (dtype === "U8") arrays.set(name, new Uint8Array(buffer));
    else throw bad();
  }
  const fill = (value: unknown): unknown => {
    if (Array.isArray(value) || typeof value !== "object" || value === null) return value;
    const { $tensor } = value as Partial<Reference>;
    if ($tensor !== undefined) {
      const found = arrays.get($tensor);
      if (found === undefined) throw bad();
      return found;
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, fill(inner)]));
  };
  try {
    return schema.parse(fill(JSON.parse(metadata[STRUCTURE] ?? ""))) as TrainerSnapshot;
  } catch (error) {
    throw error instanceof Failure ? error : bad(error);
  }
}
