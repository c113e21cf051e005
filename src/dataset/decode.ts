// What both decoders share: limits first, then the header, then the platform's own decoder, then the orientation, and one
// sentence for whatever went wrong inside. What platforms read differently, BMP and 16 bits, is read here. Big images wait for each other, so that a folder of them fits in memory.
import { Failure } from "../failure.ts";
import { decodeBmp } from "./bmp.ts";
import { decodePng } from "./deep_png.ts";
import {
  type ImageHeader,
  MAX_FILE_BYTES,
  MAX_PIXELS,
  readHeader,
  SNIFF_BYTES,
  sniffFormat,
} from "./header.ts";
import { takeOrientation, turn } from "./orientation.ts";
import { kindOf } from "./other_kinds.ts";
import type { DecodeImage, RgbImage } from "./types.ts";

/** Decodes a PNG, JPEG, WebP or GIF whose header was accepted and that declares no orientation; may throw anything. */
export type NativeDecode = (bytes: Uint8Array<ArrayBuffer>, header: ImageHeader) => Promise<RgbImage>;

/** Does work on an image of so many pixels when there is memory for it. */
export type WithinMemory = <T>(pixels: number, work: () => Promise<T>) => Promise<T>;

/** A `DecodeImage` around a platform's decoder. */
export function decoder(native: NativeDecode, within: WithinMemory = withinMemory): DecodeImage {
  return async (blob, path) => {
    if (blob.size > MAX_FILE_BYTES) {
      throw new Failure({
        code: "bad-file",
        what: "The image file is larger than 256 MB.",
        where: path,
        remedy: "Save it smaller and try again.",
      });
    }
    const read = new Uint8Array(await readBytes(blob, path));
    refuseOthers(read, path);
    const header = readHeader(read, path);
    if (header.format === "bmp") return decodeBmp(read, path);
    const { orientation, bytes } = takeOrientation(read, header.format);
    const isDeep = header.format === "png" && bytes[24] === 16;
    const decode = isDeep ? decodePng : native;
    return within(header.width * header.height, async () => {
      try {
        return turn(await decode(bytes, header), orientation);
      } catch (error) {
        throw new Failure(
          {
            code: "bad-file",
            what: "The image is damaged and cannot be decoded.",
            where: path,
            remedy: "Replace or remove this file.",
          },
          { cause: error },
        );
      }
    });
  };
}

/** Names what a file is that is called an image and is something else; bytes that say nothing are left to `readHeader`. */
function refuseOthers(bytes: Uint8Array, path: string): void {
  if (bytes.length === 0 || sniffFormat(bytes) !== null) return;
  const kind = kindOf(bytes.subarray(0, SNIFF_BYTES));
  if (!kind) return;
  throw new Failure({
    code: "bad-file",
    what: `This is ${kind} and not a PNG, JPEG, WebP, GIF or BMP image.`,
    where: path,
    remedy: "Replace or remove this file.",
  });
}

async function readBytes(blob: Blob, path: string): Promise<ArrayBuffer> {
  try {
    return await blob.arrayBuffer();
  } catch (error) {
    throw new Failure(
      {
        code: "bad-file",
        what: "The file can no longer be read; it was moved or changed.",
        where: path,
        remedy: "Drop the folder again.",
        inTerminal: "Run it again, and leave the folder as it is meanwhile.",
      },
      { cause: error },
    );
  }
}

let pixelsUnderWay = 0;
const waiting: (() => void)[] = [];

/** Runs `work` when all images under way, this one included, have at most `MAX_PIXELS`; one alone always may. */
export async function withinMemory<T>(pixels: number, work: () => Promise<T>): Promise<T> {
  while (pixelsUnderWay > 0 && pixelsUnderWay + pixels > MAX_PIXELS) {
    await new Promise<void>((resume) => waiting.push(resume));
  }
  pixelsUnderWay += pixels;
  try {
    return await work();
  } finally {
    pixelsUnderWay -= pixels;
    for (const resume of waiting.splice(0)) resume();
  }
}
