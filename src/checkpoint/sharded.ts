// Weights in several files, with an index that says which tensor lies in which. The index and the files' headers are held
// against each other: a tensor must be where the index says, once, and every file must be there.
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { parseWith } from "./config.ts";
import { dtypeBits } from "./dtypes.ts";
import { quoted } from "./json.ts";
import { writeSafetensors } from "./safetensors.ts";
import type { NamedTensor, Weights } from "./types.ts";

const MAX_SHARDS = 1000;

const indexSchema = z.object({
  metadata: z.object({ total_size: z.number().optional() }).nullish(),
  weight_map: z.record(z.string(), z.string().max(300)),
});

/**
 * Reads the headers of all shards of an index (`model.safetensors.index.json`, parsed).
 * @param where the index, for a Failure: a shard that is missing or not used, a tensor that is in another shard than
 *   the index says, in two, or in none, or sizes that do not add up
 * @param beside finds the file of a name in the index's own folder
 * @param read reads one file of weights
 */
export async function readShards(
  index: Record<string, unknown>,
  where: string,
  beside: (name: string) => SourceFile | undefined,
  read: (file: SourceFile) => Promise<Weights>,
): Promise<Weights> {
  const bad = (
    what: string,
    remedy = "The index and the files are not from one save; download all of them again.",
    at = where,
  ) => new Failure({ code: "bad-file", what, where: at, remedy });
  if (index.weight_map === undefined) {
    throw bad("The index has no weight_map, which says what tensor lies in which file.");
  }
  const { metadata, weight_map: map } = parseWith(indexSchema, index, where);
  const said = new Map(Object.entries(map));
  const names = [...new Set(said.values())];
  if (names.length === 0) throw bad("The index names no tensors.");
  if (names.length > MAX_SHARDS) {
    throw bad(`The index names ${names.length} files; at most ${MAX_SHARDS} are read.`);
  }
  const outside = names.find(
    (name) => !/^[^/\\]+\.(safetensors|bin|pth?)$/i.test(name) || name.startsWith("."),
  );
  if (outside !== undefined) {
    throw bad(`The index names ${quoted(outside)}, which is no file of weights beside it.`);
  }
  const shards = names.map((name) => [name, beside(name)] as const);
  const missing = shards.flatMap(([name, file]) => (file ? [] : [quoted(name)]));
  if (missing.length > 0) {
    const some = missing.slice(0, 5).join(", ");
    throw bad(
      `${missing.length} of the model's ${names.length} files ${missing.length === 1 ? "is" : "are"} missing: ${some}${missing.length > 5 ? ", ..." : ""}.`,
      "Choose the index and all the files it names together, or their folder.",
    );
  }

  const owners = new Map<string, { name: string; shard: Weights }>();
  const parts: Weights[] = [];
  for (const [name, file] of shards) {
    const shard = await read(file as SourceFile);
    parts.push(shard);
    for (const tensor of shard.tensors) {
      const other = owners.get(tensor.name)?.name;
      if (other !== undefined) {
        throw bad(
          `The tensor ${quoted(tensor.name)} stands in two files, ${quoted(other)} and ${quoted(name)}.`,
        );
      }
      const place = said.get(tensor.name);
      if (place !== name) {
        throw bad(
          `The tensor ${quoted(tensor.name)} is in ${quoted(name)}, but the index says ${
            place === undefined ? "nothing of it" : quoted(place)
          }.`,
        );
      }
      owners.set(tensor.name, { name, shard });
    }
  }
  for (const [tensor, name] of said) {
    if (!owners.has(tensor)) {
      throw bad(`The tensor ${quoted(tensor)} should be in ${quoted(name)}, but is not there.`);
    }
  }
  const tensors = parts.flatMap((part) => part.tensors);
  // Of PyTorch's, a total counts what two tensors share once, or twice.
  const safe = names.every((name) => /\.safetensors$/i.test(name));
  const total = tensors.reduce(
    (sum, { dtype, shape }) => sum + shape.reduce((a, b) => a * b, (dtypeBits.get(dtype) ?? 0) / 8),
    0,
  );
  const claimed = metadata?.total_size;
  if (safe && claimed !== undefined && claimed !== total) {
    throw bad(`The index says the tensors have ${claimed} bytes, but the files hold ${total}.`);
  }
  return {
    where,
    tensors,
    metadata: parts[0]?.metadata ?? {},
    notes: [...new Set(parts.flatMap(({ notes }) => notes))],
    modules: parts.flatMap(({ modules }) => modules ?? []),
    async find(tensor) {
      const { name, shard } = owners.get(tensor.name) as { name: string; shard: Weights };
      // An export is written in the files that it came in, where they are of its format.
      return { ...(await shard.find(tensor)), ...(safe ? { file: name } : {}) };
    },
  };
}

/** The files of `tensors`: one, or one for each `file` they name with the index that goes with them. */
export function writeShards(
  tensors: readonly NamedTensor[],
  metadata: Record<string, string>,
): { path: string; blob: Blob }[] {
  const groups = new Map<string, NamedTensor[]>();
  for (const tensor of tensors) {
    const file = tensor.file ?? "model.safetensors";
    const group = groups.get(file);
    if (group) group.push(tensor);
    else groups.set(file, [tensor]);
  }
  const files = [...groups].map(([path, group]) => ({ path, blob: writeSafetensors(group, metadata) }));
  if (files.length === 1) return files.map(({ blob }) => ({ path: "model.safetensors", blob }));
  const index = {
    metadata: { total_size: tensors.reduce((sum, { bytes }) => sum + bytes.size, 0) },
    weight_map: Object.fromEntries(tensors.map(({ name, file }) => [name, file])),
  };
  const blob = new Blob([`${JSON.stringify(index, null, 2)}\n`], { type: "application/json" });
  return [...files, { path: "model.safetensors.index.json", blob }];
}
