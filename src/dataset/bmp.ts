// Windows bitmaps, uncompressed: read here because neither sharp's libvips nor every browser worker does it alike.
import { Failure } from "../failure.ts";
import type { RgbImage } from "./types.ts";

const BI_RGB = 0;
const BI_BITFIELDS = 3;
const BI_ALPHABITFIELDS = 6;

function refuse(path: string, what: string): never {
  throw new Failure({ code: "bad-file", what, where: path, remedy: "Save it as PNG and try again." });
}

/** A BMP of 24 bits a pixel, for showing pixels that no file holds. */
export function encodeBmp({ width, height, data }: RgbImage): Blob {
  const stride = Math.ceil((width * 3) / 4) * 4;
  const bytes = new Uint8Array(54 + stride * height);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, -height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const from = 3 * (y * width + x);
      const to = 54 + y * stride + 3 * x;
      for (let c = 0; c < 3; c++) bytes[to + c] = data[from + 2 - c] as number;
    }
  return new Blob([bytes], { type: "image/bmp" });
}

/** Lengths of BITMAPINFOHEADER and its successors; OS/2's lie between and mean other things by the same numbers. */
const HEADER_SIZES = new Set([40, 52, 56, 108, 124]);

/**
 * Decodes a BMP of 1, 4, 8, 24 or 32 bits a pixel; alpha counts only where the header declares a mask for it.
 * @param bytes a file whose size `readHeader` has accepted
 * @throws Failure `bad-file`: compressed, 16 bit, odd masks, cut short, or pixels that begin inside header, masks or palette
 */
export function decodeBmp(bytes: Uint8Array, path: string): RgbImage {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 54) refuse(path, "The image file is cut short.");
  const pixelOffset = view.getUint32(10, true);
  const headerSize = view.getUint32(14, true);
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const height = Math.abs(signedHeight);
  if (!HEADER_SIZES.has(headerSize)) refuse(path, "This kind of BMP is not read.");
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  const masked = compression === BI_BITFIELDS || compression === BI_ALPHABITFIELDS;
  if (compression !== BI_RGB && !(masked && bits === 32)) refuse(path, "Compressed BMP files are not read.");
  if (![1, 4, 8, 24, 32].includes(bits)) refuse(path, `BMP files of ${bits} bits a pixel are not read.`);

  // Before the pixels lie the header, behind one of 40 bytes its masks, and the palette.
  const maskBytes = headerSize === 40 && masked ? (compression === BI_ALPHABITFIELDS ? 16 : 12) : 0;
  const paletteSize = bits <= 8 ? Math.min(view.getUint32(46, true) || 1 << bits, 1 << bits) : 0;
  const palette = 14 + headerSize;
  if (pixelOffset < palette + maskBytes + paletteSize * 4)
    refuse(path, `The BMP says that its pixels begin inside its ${bits <= 8 ? "palette" : "header"}.`);
  const rowBytes = Math.ceil((width * bits) / 32) * 4;
  if (pixelOffset + rowBytes * height > bytes.length) refuse(path, "The image file is cut short.");

  // Byte of each channel inside a 32-bit pixel; bitmaps are blue, green, red unless masks say otherwise.
  let red = 2;
  let green = 1;
  let blue = 0;
  let alpha = -1;
  if (masked) {
    if (bytes.length < 70) refuse(path, "The image file is cut short.");
    const byteOf = (mask: number) => [0xff, 0xff00, 0xff0000, 0xff000000].indexOf(mask);
    red = byteOf(view.getUint32(54, true));
    green = byteOf(view.getUint32(58, true));
    blue = byteOf(view.getUint32(62, true));
    const alphaMask = headerSize >= 56 || compression === BI_ALPHABITFIELDS ? view.getUint32(66, true) : 0;
    alpha = byteOf(alphaMask);
    const used = [red, green, blue, ...(alphaMask === 0 ? [] : [alpha])];
    if (used.some((byte) => byte < 0) || new Set(used).size < used.length)
      refuse(path, "BMP files with unusual colour masks are not read.");
  }

  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = pixelOffset + rowBytes * (signedHeight < 0 ? y : height - 1 - y);
    for (let x = 0; x < width; x++) {
      const out = (y * width + x) * 3;
      if (bits <= 8) {
        const byte = bytes[row + ((x * bits) >> 3)] as number;
        const index = (byte >> (8 - bits - ((x * bits) & 7))) & ((1 << bits) - 1);
        if (index >= paletteSize) continue;
        const entry = palette + index * 4;
        data[out] = bytes[entry + 2] as number;
        data[out + 1] = bytes[entry + 1] as number;
        data[out + 2] = bytes[entry] as number;
      } else {
        const pixel = row + x * (bits >> 3);
        const cover = alpha < 0 ? 255 : (bytes[pixel + alpha] as number);
        data[out] = overWhite(bytes[pixel + red] as number, cover);
        data[out + 1] = overWhite(bytes[pixel + green] as number, cover);
        data[out + 2] = overWhite(bytes[pixel + blue] as number, cover);
      }
    }
  }
  return { width, height, data };
}

/** One 8-bit channel laid over white with 8-bit alpha, rounded to nearest as PIL's paste does. */
export function overWhite(value: number, alpha: number): number {
  const sum = value * alpha + 255 * (255 - alpha) + 128;
  return (sum + (sum >> 8)) >> 8;
}
