// Colour profiles are taken out of a file before a browser decodes it: the numbers of a picture are learned from as they
// stand, as PIL gives them, and not every browser can be told to leave them alone (WebKit turns them to the screen's).
import type { ImageFormat } from "./header.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** PNG's chunks that say what its numbers look like. */
const PNG_COLOURS = new Set(["iCCP", "sRGB", "gAMA", "cHRM", "cICP", "mDCV", "cLLI"]);

/**
 * A file without its colour profile; the file itself where it has none.
 * @param bytes a file that `readHeader` has accepted; may be changed
 */
export function withoutProfile(bytes: Bytes, format: ImageFormat): Bytes {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const pieces = finders[format]?.(view) ?? [];
    return pieces.length === 0 ? bytes : cut(bytes, pieces);
  } catch (error) {
    // A file that ends too early is the decoder's to refuse.
    if (error instanceof RangeError) return bytes;
    throw error;
  }
}

interface Piece {
  start: number;
  end: number;
}

const finders: Partial<Record<ImageFormat, (view: DataView) => Piece[]>> = {
  jpeg: inJpeg,
  png: inPng,
  webp: inWebp,
};

const word = (view: DataView, at: number, length: number) =>
  String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(at + i)));

/** APP2 segments that hold parts of a profile, before the scan. */
function inJpeg(view: DataView): Piece[] {
  const found: Piece[] = [];
  for (let offset = 2; ; ) {
    const marker = view.getUint8(offset + 1);
    if (view.getUint8(offset) !== 0xff || marker === 0xff) offset++;
    else if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) offset += 2;
    else if (marker === 0xda || marker === 0xd9) return found;
    else {
      const end = offset + 2 + Math.max(2, view.getUint16(offset + 2));
      if (marker === 0xe2 && end >= offset + 16 && word(view, offset + 4, 11) === "ICC_PROFILE")
        found.push({ start: offset, end });
      offset = end;
    }
  }
}

function inPng(view: DataView): Piece[] {
  const found: Piece[] = [];
  for (let offset = 8; ; ) {
    const end = offset + 12 + view.getUint32(offset);
    const name = word(view, offset + 4, 4);
    if (name === "IDAT" || name === "IEND") return found;
    if (PNG_COLOURS.has(name)) found.push({ start: offset, end });
    offset = end;
  }
}

/** Of an extended file the flag that it has a profile is taken back, and the profile is then passed over (RFC 9649, 2.7). */
function inWebp(view: DataView): Piece[] {
  if (word(view, 12, 4) === "VP8X") view.setUint8(20, view.getUint8(20) & ~0x20);
  return [];
}

function cut(bytes: Bytes, pieces: Piece[]): Bytes {
  const kept = new Uint8Array(bytes.length - pieces.reduce((sum, { start, end }) => sum + end - start, 0));
  let from = 0;
  let to = 0;
  for (const { start, end } of [...pieces, { start: bytes.length, end: bytes.length }]) {
    const part = bytes.subarray(from, start);
    kept.set(part, to);
    to += part.length;
    from = end;
  }
  return kept;
}
