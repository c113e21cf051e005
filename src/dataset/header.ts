// What an encoded image says about itself before anything is decoded: its format by magic bytes, its size, and
// whether the file is all there. Decoders are only ever given a file that passed here, so that a small file which
// claims 20,000 x 20,000 pixels costs nothing, and a cut-off one is named instead of half shown.
import { Failure } from "../failure.ts";

export type ImageFormat = "png" | "jpeg" | "webp" | "gif" | "bmp";

export interface ImageHeader {
  format: ImageFormat;
  /** As stored, before EXIF orientation. */
  width: number;
  height: number;
}

/** 100 megapixels decode to 400 MB of RGBA, the most one image may cost. */
export const MAX_PIXELS = 100_000_000;
/** Largest encoded file that is read at all, in bytes. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Bytes that `sniffFormat` needs. */
export const SNIFF_BYTES = 12;

/** The format by magic bytes, or null when it is none of the five we read. */
export function sniffFormat(bytes: Uint8Array): ImageFormat | null {
  const at = (offset: number, ...expected: number[]) =>
    expected.every((byte, i) => bytes[offset + i] === byte);
  if (at(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return "png";
  if (at(0, 0xff, 0xd8, 0xff)) return "jpeg";
  if (at(0, 0x52, 0x49, 0x46, 0x46) && at(8, 0x57, 0x45, 0x42, 0x50)) return "webp";
  if (at(0, 0x47, 0x49, 0x46, 0x38) && (bytes[4] === 0x37 || bytes[4] === 0x39) && bytes[5] === 0x61)
    return "gif";
  // "BM" alone begins many a text; the four reserved bytes of a bitmap are zero.
  if (at(0, 0x42, 0x4d) && at(6, 0, 0, 0, 0)) return "bmp";
  return null;
}

/** MIME type for a decoder that is told one. */
export function mimeType(format: ImageFormat): string {
  return `image/${format}`;
}

function unreadable(path: string, what: string): Failure {
  return new Failure({
    code: "bad-file",
    what,
    where: path,
    remedy: "Replace or remove this file.",
  });
}

const truncated = (path: string) => unreadable(path, "The image file is cut short.");

/**
 * Reads format and size from a whole encoded file and checks that its end is there.
 * @param path names the file in what is thrown
 * @throws Failure `bad-file`: none of the five formats, cut short, no size, or more than `MAX_PIXELS`
 */
export function readHeader(bytes: Uint8Array, path: string): ImageHeader {
  const format = sniffFormat(bytes);
  if (bytes.length === 0) throw unreadable(path, "The file is empty.");
  if (format === null) throw unreadable(path, "This is not a PNG, JPEG, WebP, GIF or BMP image.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: [width: number, height: number];
  try {
    size = readers[format](view, path);
  } catch (error) {
    // A DataView throws RangeError past its end: exactly the files that stop inside their header.
    if (error instanceof RangeError) throw truncated(path);
    throw error;
  }
  const [width, height] = size;
  if (width < 1 || height < 1) throw unreadable(path, "The image says it has no pixels.");
  if (width * height > MAX_PIXELS) {
    throw new Failure({
      code: "bad-file",
      what: `The image is ${width} x ${height} pixels; at most ${MAX_PIXELS / 1e6} megapixels are decoded.`,
      where: path,
      remedy: "Scale it down; the network sees a few hundred pixels anyway.",
    });
  }
  return { format, width, height };
}

type ReadSize = (view: DataView, path: string) => [width: number, height: number];

const readers: Record<ImageFormat, ReadSize> = {
  png: readPng,
  jpeg: readJpeg,
  webp: readWebp,
  gif: readGif,
  bmp: readBmp,
};

/** Chunks of length, type, data, CRC (PNG specification, 5.3), from IHDR to IEND. */
function readPng(view: DataView, path: string): [number, number] {
  if (view.getUint32(12) !== 0x49484452) throw unreadable(path, "The PNG does not begin with its header.");
  const size: [number, number] = [view.getUint32(16), view.getUint32(20)];
  for (let offset = 8; ; ) {
    const length = view.getUint32(offset);
    const type = view.getUint32(offset + 4);
    offset += 12 + length;
    if (offset > view.byteLength) throw truncated(path);
    if (type === 0x49454e44) return size;
  }
}

/** Markers up to the first scan (ITU T.81, annex B), and an end-of-image marker behind it. */
function readJpeg(view: DataView, path: string): [number, number] {
  let size: [number, number] | null = null;
  for (let offset = 2; ; ) {
    if (view.getUint8(offset) !== 0xff) {
      // Libraries skip stray bytes between segments with a warning, and so do we.
      offset++;
      continue;
    }
    const marker = view.getUint8(offset + 1);
    if (marker === 0xff) {
      offset++;
    } else if (marker === 0x00 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      offset += 2;
    } else if (marker === 0xd9) {
      throw unreadable(path, "The JPEG ends before its picture begins.");
    } else {
      const length = view.getUint16(offset + 2);
      const isFrame =
        marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
      if (isFrame && view.getUint8(offset + 4) !== 8)
        throw unreadable(path, `A JPEG of ${view.getUint8(offset + 4)} bits is not read; save it as PNG.`);
      if (isFrame) size = [view.getUint16(offset + 7), view.getUint16(offset + 5)];
      offset += 2 + length;
      if (marker === 0xda) {
        if (!size) throw unreadable(path, "The JPEG does not say how big it is.");
        // Trailing data behind the end is common (motion photos), so any end marker after the scan counts.
        for (let end = view.byteLength - 2; end >= offset; end--) {
          if (view.getUint8(end) === 0xff && view.getUint8(end + 1) === 0xd9) return size;
        }
        throw truncated(path);
      }
    }
  }
}

/** RIFF container of VP8, VP8L or VP8X (RFC 9649, 2). */
function readWebp(view: DataView, path: string): [number, number] {
  if (view.getUint32(4, true) + 8 > view.byteLength) throw truncated(path);
  const kind = view.getUint32(12);
  if (kind === 0x56503858) {
    const uint24 = (offset: number) => view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
    return [uint24(24) + 1, uint24(27) + 1];
  }
  if (kind === 0x5650384c && view.getUint8(20) === 0x2f) {
    const bits = view.getUint32(21, true);
    return [(bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1];
  }
  if (kind === 0x56503820 && view.getUint8(23) === 0x9d && view.getUint16(24) === 0x012a)
    return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  throw unreadable(path, "The WebP file holds no picture that can be read.");
}

/** Logical screen and first frame (GIF89a specification, 18 to 20); a frame may reach past the screen. */
function readGif(view: DataView, path: string): [number, number] {
  const screen: [number, number] = [view.getUint16(6, true), view.getUint16(8, true)];
  const tableBytes = (flags: number) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let offset = 13 + tableBytes(view.getUint8(10));
  const skipBlocks = () => {
    for (let length = -1; length !== 0; ) {
      length = view.getUint8(offset);
      offset += 1 + length;
    }
  };
  for (;;) {
    const kind = view.getUint8(offset);
    if (kind === 0x21) {
      offset += 2;
      skipBlocks();
    } else if (kind === 0x2c) {
      const right = view.getUint16(offset + 1, true) + view.getUint16(offset + 5, true);
      const bottom = view.getUint16(offset + 3, true) + view.getUint16(offset + 7, true);
      offset += 11 + tableBytes(view.getUint8(offset + 9));
      skipBlocks();
      return [Math.max(screen[0], right), Math.max(screen[1], bottom)];
    } else {
      throw unreadable(path, "The GIF holds no picture.");
    }
  }
}

/** BITMAPINFOHEADER and its successors; the height is negative when rows run from the top. */
function readBmp(view: DataView, path: string): [number, number] {
  if (view.getUint32(14, true) < 40)
    throw unreadable(path, "This kind of BMP (OS/2) is not read; save it as PNG.");
  return [view.getInt32(18, true), Math.abs(view.getInt32(22, true))];
}
