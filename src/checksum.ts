// Whether something that was kept is, to the last bit, what it was: one sum over a value of plain data, typed arrays and
// Blobs. It tells a damaged disk, not a forger.

/** Bytes of a Blob that are in memory at a time. */
const CHUNK = 8 * 1024 * 1024;

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * SHA-256 where the page may compute it (browsers have it only for https and this machine), else CRC-32; its name stands
 * before it. Of a Blob the sums of its pieces of 8 MiB are summed, so that one of gigabytes takes no more memory.
 * @throws what reading a Blob throws, and TypeError for what is no plain data
 */
export async function checksumOf(value: unknown): Promise<string> {
  const pieces: (Blob | ArrayBufferView<ArrayBuffer>)[] = [];
  // What JSON would write as something else has a form of its own here.
  const text = JSON.stringify(value, (_, one: unknown) => {
    const put = (piece: Blob | ArrayBufferView<ArrayBuffer>, size: number) => {
      pieces.push(piece);
      return { " ": Object.prototype.toString.call(one), size };
    };
    if (one instanceof Blob) return put(one, one.size);
    if (ArrayBuffer.isView(one)) return put(one as ArrayBufferView<ArrayBuffer>, one.byteLength);
    const odd = typeof one === "number" && (!Number.isFinite(one) || Object.is(one, -0));
    if (odd || one === undefined) return { " ": Object.is(one, -0) ? "-0" : String(one) };
    return one;
  });
  const parts: BlobPart[] = [text ?? ""];
  for (const piece of pieces) {
    if (!(piece instanceof Blob)) parts.push(piece);
    else
      for (let at = 0; at < piece.size; at += CHUNK)
        parts.push(await digest(await piece.slice(at, at + CHUNK).arrayBuffer()));
  }
  const sum = hex(await digest(await new Blob(parts).arrayBuffer()));
  return `${globalThis.crypto?.subtle ? "sha256" : "crc32"}:${sum}`;
}

async function digest(bytes: ArrayBuffer): Promise<Uint8Array<ArrayBuffer>> {
  if (globalThis.crypto?.subtle) return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return new Uint8Array(Uint32Array.of(crc32(new Uint8Array(bytes))).buffer);
}

let table: Uint32Array | null = null;
function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
    return rest;
  });
  let sum = ~0;
  for (let i = 0; i < bytes.length; i++)
    sum = (sum >>> 8) ^ (table[(sum ^ (bytes[i] as number)) & 255] as number);
  return ~sum >>> 0;
}
