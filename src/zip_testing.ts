// Zips for tests, as any program writes them and as none would: every field can be set, and made to lie.
import { open } from "node:fs/promises";
import { deflateRawSync } from "node:zlib";
import { crc32 } from "./zip_directory.ts";

export interface TestEntry {
  name: string | Uint8Array;
  content?: string | Uint8Array;
  deflate?: boolean;
  /** Bits of the general purpose flag. */
  flags?: number;
  /** The number that stands for the packing. */
  method?: number;
  /** The system that made it, as a number: 0 is DOS, 3 Unix. */
  host?: number;
  /** Unix mode. */
  mode?: number;
  /** Extra fields: of the local header, and of the directory. */
  localExtra?: Uint8Array;
  extra?: Uint8Array;
  crc?: number;
  size?: number;
  /** Zeros at the end of a stored entry, which a file on a disk has as a hole. */
  zeros?: number;
  /** Bytes before the entry that belong to nothing, a hole too. */
  gap?: number;
  /** Sizes and checksum behind the data, as streams write them. */
  descriptor?: boolean;
}

export interface TestZip {
  /** Bytes before the zip; `absolute` counts places from the file's start, otherwise they count from the zip's. */
  prefix?: Uint8Array;
  absolute?: boolean;
  comment?: string;
  /** Bytes after the zip. */
  suffix?: Uint8Array;
  /** Writes the records of zip64 at the end, and its sizes and places; torch has the first alone. */
  zip64?: "none" | "end" | "all";
}

const utf8 = new TextEncoder();
const bytesOf = (value: string | Uint8Array) => (typeof value === "string" ? utf8.encode(value) : value);

/** Little-endian numbers: [value, bytes] each. */
export function numbers(...fields: [value: number, bytes: 1 | 2 | 4 | 8][]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(fields.reduce((sum, [, bytes]) => sum + bytes, 0));
  const data = new DataView(result.buffer);
  let at = 0;
  for (const [value, bytes] of fields) {
    if (bytes === 1) data.setUint8(at, value);
    else if (bytes === 2) data.setUint16(at, value, true);
    else if (bytes === 4) data.setUint32(at, value, true);
    else data.setBigUint64(at, BigInt(value), true);
    at += bytes;
  }
  return result;
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** An extra field of this number. */
export const extraField = (id: number, content: Uint8Array) =>
  joinBytes([numbers([id, 2], [content.length, 2]), content]);

/** @returns the bytes of a zip */
export function zipBytes(entries: readonly TestEntry[], options: TestZip = {}): Uint8Array<ArrayBuffer> {
  const { pieces, size } = zipPieces(entries, options);
  const result = new Uint8Array(size);
  for (const { at, bytes } of pieces) result.set(bytes, at);
  return result;
}

/** Writes a zip of any size to a disk; what is zeros or belongs to nothing takes no room there. */
export async function writeZip(
  path: string,
  entries: readonly TestEntry[],
  options: TestZip = {},
): Promise<void> {
  const { pieces, size } = zipPieces(entries, options);
  const file = await open(path, "w");
  try {
    await file.truncate(size);
    for (const { at, bytes } of pieces) await file.write(bytes, 0, bytes.length, at);
  } finally {
    await file.close();
  }
}

const ZEROS = new Uint8Array(1024 * 1024);
/** The checksum of an entry's content with the zeros behind it. */
function checksumOf(content: Uint8Array, zeros: number): number {
  let crc = crc32(content);
  for (let left = zeros; left > 0; left -= ZEROS.length) crc = crc32(ZEROS.subarray(0, left), crc);
  return crc;
}

function zipPieces(
  entries: readonly TestEntry[],
  options: TestZip,
): { pieces: { at: number; bytes: Uint8Array }[]; size: number } {
  const { prefix = new Uint8Array(0), absolute = false, zip64 = "none" } = options;
  const pieces = [{ at: 0, bytes: prefix }];
  const directory: Uint8Array[] = [];
  let at = absolute ? prefix.length : 0;
  /** Places in the file, of places as the zip counts them. */
  const shift = prefix.length - at;
  const put = (...more: Uint8Array[]) => {
    for (const bytes of more) {
      pieces.push({ at: shift + at, bytes });
      at += bytes.length;
    }
  };
  for (const entry of entries) {
    const name = bytesOf(entry.name);
    const content = bytesOf(entry.content ?? "");
    const packed = entry.deflate ? new Uint8Array(deflateRawSync(content)) : content;
    const method = entry.method ?? (entry.deflate ? 8 : 0);
    const flags = (entry.flags ?? 0) | (entry.descriptor ? 8 : 0);
    const zeros = entry.zeros ?? 0;
    const crc = entry.crc ?? checksumOf(content, zeros);
    const size = entry.size ?? content.length + zeros;
    const packedSize = packed.length + zeros;
    at += entry.gap ?? 0;
    const localExtra = entry.localExtra ?? new Uint8Array(0);
    const offset = at;
    const late = entry.descriptor ? 0 : 1;
    const local = numbers([0x04034b50, 4], [20, 2], [flags, 2], [method, 2], [0, 2], [0x5a21, 2]);
    const sums = numbers([late * crc, 4], [late * packedSize, 4], [late * size, 4]);
    put(local, sums, numbers([name.length, 2], [localExtra.length, 2]), name, localExtra, packed);
    at += zeros;
    if (entry.descriptor) put(numbers([0x08074b50, 4], [crc, 4], [packedSize, 4], [size, 4]));
    const wide = zip64 === "all";
    const wideField = wide
      ? extraField(1, numbers([size, 8], [packedSize, 8], [offset, 8]))
      : new Uint8Array(0);
    const extra = joinBytes([wideField, entry.extra ?? new Uint8Array(0)]);
    const at32 = (value: number) => (wide ? 0xffffffff : value);
    directory.push(
      numbers(
        [0x02014b50, 4],
        [20, 1],
        [entry.host ?? 3, 1],
        [20, 2],
        [flags, 2],
        [method, 2],
        [0, 2],
        [0x5a21, 2],
      ),
      numbers([crc, 4], [at32(packedSize), 4], [at32(size), 4], [name.length, 2], [extra.length, 2]),
      numbers([0, 2], [0, 2], [0, 2], [(entry.mode ?? 0) * 65536, 4], [at32(offset), 4]),
      name,
      extra,
    );
  }
  const start = at;
  for (const one of directory) put(one);
  const size = at - start;
  const count = entries.length;
  if (zip64 !== "none") {
    const record = at;
    put(
      numbers(
        [0x06064b50, 4],
        [44, 8],
        [45, 2],
        [45, 2],
        [0, 4],
        [0, 4],
        [count, 8],
        [count, 8],
        [size, 8],
        [start, 8],
      ),
    );
    put(numbers([0x07064b50, 4], [0, 4], [record, 8], [1, 4]));
  }
  const full = zip64 === "all";
  const comment = bytesOf(options.comment ?? "");
  put(
    numbers([0x06054b50, 4], [0, 2], [0, 2], [full ? 0xffff : count, 2], [full ? 0xffff : count, 2]),
    numbers([full ? 0xffffffff : size, 4], [full ? 0xffffffff : start, 4], [comment.length, 2]),
    comment,
    options.suffix ?? new Uint8Array(0),
  );
  return { pieces, size: shift + at };
}
