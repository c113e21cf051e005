// Which files of a folder are ours: `selora.json` lists what an export wrote, with size and SHA-256. A file that has become
// another since is its owner's. The list comes from outside: no path in it leads out of the folder.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Written } from "./disk.ts";

export const MANIFEST = "selora.json";
const MAX_BYTES = 32_000_000;

/** A path inside the folder, with `/`: no way up, no root, no drive, nothing hidden. */
export function isInside(path: string): boolean {
  const parts = path.split("/");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a NUL in a name is exactly what is looked for
  const odd = /[\\\u0000:]/;
  return parts.length <= 8 && parts.every((part) => part !== "" && !part.startsWith(".") && !odd.test(part));
}

const fileSchema = z.object({
  path: z.string().max(1000).refine(isInside),
  size: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export const manifestSchema = z.object({
  /** Version of this list. */
  selora: z.literal(1),
  kind: z.literal("export"),
  made: z.string(),
  files: z.array(fileSchema).max(200_000),
});
export type Manifest = z.infer<typeof manifestSchema>;
export type ListedFile = z.infer<typeof fileSchema>;

/** Reads JSON that is to have a shape; null where it is not there, not whole, too large, or something else. */
export async function readAs<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const info = await lstat(path).catch(() => null);
  if (!info?.isFile() || info.size > MAX_BYTES) return null;
  try {
    return schema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return null;
  }
}

/** The list of what an export wrote into `folder`; null where none did. */
export const readManifest = (folder: string): Promise<Manifest | null> =>
  readAs(join(folder, MANIFEST), manifestSchema);

/** The list as a file. */
export function manifestText(files: ReadonlyMap<string, Written>): string {
  const listed = [...files].map(([path, { size, sha256 }]) => ({ path, size, sha256 }));
  const manifest: Manifest = { selora: 1, kind: "export", made: new Date().toISOString(), files: listed };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** Whether what lies under `path` in `folder` is, byte for byte, the file that is listed, and no link leads to it. */
export async function isListed(folder: string, { path, size, sha256 }: ListedFile): Promise<boolean> {
  const place = join(folder, path);
  const info = await lstat(place).catch(() => null);
  if (!info?.isFile() || info.size !== size) return false;
  if ((await realpath(dirname(place))) !== dirname(join(await realpath(folder), path))) return false;
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(place)) hash.update(chunk);
  } catch {
    return false;
  }
  return hash.digest("hex") === sha256;
}
