// Decoding in a browser worker: the browser's own decoders through createImageBitmap, colours untouched,
// transparency over white. The header is read first, so that nothing huge is ever decoded.
import { Failure } from "../failure.ts";
import { withoutProfile } from "./colour_profile.ts";
import { decoder, type NativeDecode, type WithinMemory } from "./decode.ts";
import { decodePng, hasAlpha } from "./deep_png.ts";
import { mimeType } from "./header.ts";
import type { RgbImage } from "./types.ts";

/** Pixels are read back in tiles of this edge: canvases have a largest side, and RGBA of all at once costs memory. */
const TILE = 2048;

const native: NativeDecode = async (bytes, header) => {
  const { format } = header;
  // A canvas keeps colours multiplied by alpha, each browser rounded in its own way.
  if (format === "png" && hasAlpha(bytes)) return decodePng(bytes, header);
  const plain = withoutProfile(bytes, format);
  const bitmap = await createImageBitmap(new Blob([plain], { type: mimeType(format) }), {
    colorSpaceConversion: "none",
  });
  try {
    return readPixels(bitmap);
  } finally {
    bitmap.close();
  }
};

/** `DecodeImage` for browsers, in a worker or a page; reads PNG, JPEG, WebP, GIF (first frame) and BMP. */
export const decodeImage = decoder(native);

/** The same, where others decide when there is memory for an image. */
export const decoderWithin = (within: WithinMemory) => decoder(native, within);

let shared: OffscreenCanvasRenderingContext2D | null = null;

/** The one canvas that pixels are read through, at least this large: making one costs more than a small picture does. */
function canvasFor(width: number, height: number): OffscreenCanvasRenderingContext2D {
  shared ??= new OffscreenCanvas(width, height).getContext("2d", {
    willReadFrequently: true,
    colorSpace: "srgb",
  });
  if (!shared) {
    throw new Failure({
      code: "state",
      what: "The browser gave no canvas to read images with.",
      remedy: "Close other tabs and try again.",
    });
  }
  // Setting a size, even the same one, throws the canvas's memory away.
  if (shared.canvas.width < width) shared.canvas.width = width;
  if (shared.canvas.height < height) shared.canvas.height = height;
  return shared;
}

function readPixels(bitmap: ImageBitmap): RgbImage {
  const { width, height } = bitmap;
  const data = new Uint8Array(width * height * 3);
  const context = canvasFor(Math.min(TILE, width), Math.min(TILE, height));
  for (let top = 0; top < height; top += TILE) {
    const tileHeight = Math.min(TILE, height - top);
    for (let left = 0; left < width; left += TILE) {
      const tileWidth = Math.min(TILE, width - left);
      context.fillStyle = "white";
      context.fillRect(0, 0, tileWidth, tileHeight);
      context.drawImage(bitmap, left, top, tileWidth, tileHeight, 0, 0, tileWidth, tileHeight);
      const rgba = context.getImageData(0, 0, tileWidth, tileHeight).data;
      for (let y = 0; y < tileHeight; y++) {
        let out = ((top + y) * width + left) * 3;
        const end = (y + 1) * tileWidth * 4;
        for (let at = y * tileWidth * 4; at < end; at += 4) {
          data[out++] = rgba[at] as number;
          data[out++] = rgba[at + 1] as number;
          data[out++] = rgba[at + 2] as number;
        }
      }
    }
  }
  return { width, height, data };
}
