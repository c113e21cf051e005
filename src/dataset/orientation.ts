// How a camera was held: EXIF's orientation, read and applied here for every format that can carry it, because decoders
// differ in which they look at (Chromium's turns a JPEG and leaves a WebP lying). As PIL's `exif_transpose`, which
// transformers calls on every image it loads, does with EXIF.
import type { ImageFormat } from "./header.ts";
import type { RgbImage } from "./types.ts";

/** 1 as it lies, 2 mirrored, 3 upside down, 4 both, 5 to 8 the same with rows and columns exchanged (TIFF 6.0, tag 274). */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

type Bytes = Uint8Array<ArrayBuffer>;

/**
 * The orientation that a file declares, and the file without it, so that no decoder turns the picture a second time.
 * What is no EXIF that can be read declares nothing.
 * @param bytes a file that `readHeader` has accepted; may be changed
 */
export function takeOrientation(
  bytes: Bytes,
  format: ImageFormat,
): { orientation: Orientation; bytes: Bytes } {
  try {
    const place = finders[format]?.(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const tag = place && findTag(bytes, place.from, place.to);
    if (!place || !tag) return { orientation: 1, bytes };
    if (!place.chunk) {
      tag.clear();
      return { orientation: tag.orientation, bytes };
    }
    // A checksum lies behind: the whole piece is taken out.
    const { start, end } = place.chunk;
    bytes.copyWithin(start, end);
    return { orientation: tag.orientation, bytes: bytes.subarray(0, bytes.length - (end - start)) };
  } catch (error) {
    if (error instanceof RangeError) return { orientation: 1, bytes };
    throw error;
  }
}

/** Where a file keeps its EXIF. */
interface Place {
  from: number;
  to: number;
  /** The piece that holds it, where changing it would break its checksum. */
  chunk?: { start: number; end: number };
}

const finders: Partial<Record<ImageFormat, (view: DataView) => Place | null>> = {
  jpeg: inJpeg,
  png: inPng,
  webp: inWebp,
};

const isExif = (view: DataView, at: number) =>
  view.getUint32(at) === 0x45786966 && view.getUint16(at + 4) === 0;

/** The first APP1 segment that begins with "Exif", before the scan. */
function inJpeg(view: DataView): Place | null {
  for (let offset = 2; ; ) {
    const marker = view.getUint8(offset + 1);
    if (view.getUint8(offset) !== 0xff || marker === 0xff) offset++;
    else if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd8)) offset += 2;
    else if (marker === 0xda || marker === 0xd9) return null;
    else {
      const end = offset + 2 + view.getUint16(offset + 2);
      if (marker === 0xe1 && end >= offset + 10 && isExif(view, offset + 4))
        return { from: offset + 10, to: end };
      offset = Math.max(end, offset + 2);
    }
  }
}

/** The eXIf chunk, wherever it stands. */
function inPng(view: DataView): Place | null {
  for (let offset = 8; ; ) {
    const [length, type] = [view.getUint32(offset), view.getUint32(offset + 4)];
    const [from, to] = [offset + 8, offset + 8 + length];
    if (type === 0x65584966) {
      const prefix = length > 6 && isExif(view, from) ? 6 : 0;
      return { from: from + prefix, to, chunk: { start: offset, end: to + 4 } };
    }
    if (type === 0x49454e44) return null;
    offset = to + 4;
  }
}

/** The EXIF chunk of an extended file; its chunks are padded to an even length (RFC 9649, 2.3). */
function inWebp(view: DataView): Place | null {
  if (view.getUint32(12) !== 0x56503858) return null;
  for (let offset = 12; ; ) {
    const [type, length] = [view.getUint32(offset), view.getUint32(offset + 4, true)];
    const from = offset + 8;
    if (type === 0x45584946) {
      const prefix = length > 6 && isExif(view, from) ? 6 : 0;
      return { from: from + prefix, to: from + length };
    }
    offset = from + length + (length & 1);
  }
}

/** Bytes of a value by its type: BYTE, SHORT, LONG. */
const SIZES: Record<number, number> = { 1: 1, 3: 2, 4: 4 };

/** Tag 274 of the first directory of a TIFF header; null where there is none that means anything. */
function findTag(bytes: Bytes, from: number, to: number) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, Math.min(to, bytes.length) - from);
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if ((!little && order !== 0x4d4d) || view.getUint16(2, little) !== 42) return null;
  const directory = view.getUint32(4, little);
  const entries = view.getUint16(directory, little);
  for (let entry = directory + 2; entry < directory + 2 + 12 * entries; entry += 12) {
    if (view.getUint16(entry, little) !== 274) continue;
    const size = SIZES[view.getUint16(entry + 2, little)];
    if (size === undefined || view.getUint32(entry + 4, little) !== 1) return null;
    const value =
      size === 1
        ? view.getUint8(entry + 8)
        : size === 2
          ? view.getUint16(entry + 8, little)
          : view.getUint32(entry + 8, little);
    if (value < 1 || value > 8) return null;
    const clear = () => {
      if (size === 1) view.setUint8(entry + 8, 1);
      else if (size === 2) view.setUint16(entry + 8, 1, little);
      else view.setUint32(entry + 8, 1, little);
    };
    return { orientation: value as Orientation, clear };
  }
  return null;
}

/** The picture as it is to be seen. */
export function turn(image: RgbImage, orientation: Orientation): RgbImage {
  if (orientation === 1) return image;
  const { width, height, data } = image;
  const swaps = orientation > 4;
  const size = swaps ? { width: height, height: width } : { width, height };
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBelow = [3, 4, 6, 7].includes(orientation);
  const turned = new Uint8Array(data.length);
  let out = 0;
  for (let y = 0; y < size.height; y++)
    for (let x = 0; x < size.width; x++) {
      const [column, row] = swaps ? [y, x] : [x, y];
      const from =
        3 * ((fromBelow ? height - 1 - row : row) * width + (fromRight ? width - 1 - column : column));
      turned[out++] = data[from] as number;
      turned[out++] = data[from + 1] as number;
      turned[out++] = data[from + 2] as number;
    }
  return { ...image, ...size, data: turned };
}
