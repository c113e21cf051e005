// What was set aside, as a zip to take along: all of the entry as JSON, and its bytes beside it. Files that were packed
// into one come out under their own names.
import { downloadZip } from "client-zip";
import { z } from "zod";

interface Entry {
  value: unknown;
  packs: unknown[];
}
interface File {
  name: string;
  input: Blob | string;
}

const size = z.int().min(0);
const packSchema = z.object({
  files: z.array(z.object({ path: z.string().min(1), size })),
  blob: z.instanceof(Blob),
});
/** Of many files the table is two values (session/pack.ts). */
const tableSchema = z
  .object({ paths: z.string(), sizes: z.instanceof(Float64Array).transform((all) => [...all]) })
  .loose()
  .transform(({ paths, sizes, ...rest }) => {
    const names = paths.split("\0");
    return { ...rest, files: sizes.map((size, i) => ({ path: names[i] || "file", size })) };
  })
  .pipe(packSchema);

/** The zip of an entry that cannot be read, whatever is in it. */
export function asideZip({ value, packs }: Entry): Promise<Blob> {
  const files: File[] = [];
  const entry = JSON.stringify(
    value,
    (_, one: unknown) => {
      if (one instanceof Blob) {
        const name = `bytes-${files.length + 1}.bin`;
        files.push({ name, input: one });
        return { bytes: name };
      }
      if (ArrayBuffer.isView(one))
        return {
          type: Object.prototype.toString.call(one).slice(8, -1),
          values: Array.from(one as Uint8Array),
        };
      return typeof one === "number" && !Number.isFinite(one) ? String(one) : one;
    },
    1,
  );
  files.unshift({ name: "entry.json", input: `${entry ?? "null"}\n` });
  for (const pack of [value, ...packs]) files.push(...filesOf(pack));
  return downloadZip(named(files)).blob();
}

/** The files of a pack, as far as its bytes go. */
function filesOf(pack: unknown): File[] {
  const { data } = packSchema.or(tableSchema).safeParse(pack);
  let at = 0;
  return (data?.files ?? []).map(({ path, size }) => {
    at += size;
    return { name: `files/${path}`, input: (data as { blob: Blob }).blob.slice(at - size, at) };
  });
}

/** No two files of one name, and none that leaves the folder it is unpacked in. */
function named(files: readonly File[]): File[] {
  const seen = new Set<string>();
  return files.map(({ name, input }) => {
    const safe = name
      .split(/[\\/]+/)
      .map((part) => (/^\.*$/.test(part) ? "_" : part))
      .join("/");
    let free = safe;
    for (let n = 2; seen.has(free); n++) free = `${n}-${safe}`;
    seen.add(free);
    return { name: free, input };
  });
}
