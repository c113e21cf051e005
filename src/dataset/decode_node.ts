// Decoding in Node, for the terminal and the tests: sharp (libjpeg-turbo, libpng, libwebp), set up so that its pixels
// are those of PIL's `Image.open(...)`, `convert("RGB")`, except that transparency lies over white.
import sharp from "sharp";
import { overWhite } from "./bmp.ts";
import { decoder } from "./decode.ts";
import { MAX_PIXELS } from "./header.ts";
import type { RgbImage } from "./types.ts";

/** `DecodeImage` for Node; reads PNG, JPEG, WebP, GIF (first frame) and BMP. */
export const decodeImage = decoder(async (bytes, { format }) => {
  const image = sharp(bytes, {
    // PIL leaves embedded colour profiles alone, and so did whoever trained the model.
    ignoreIcc: true,
    failOn: "error",
    limitInputPixels: MAX_PIXELS,
  });
  const isCmyk = format === "jpeg" && (await image.metadata()).space === "cmyk";
  // Naming the colour space of the pipeline as well keeps libvips from converting by way of a press profile.
  const space = isCmyk ? "cmyk" : "srgb";
  const { data, info } = await (isCmyk ? image.pipelineColourspace(space) : image)
    .toColourspace(space)
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return {
    width: info.width,
    height: info.height,
    data: isCmyk ? fromCmyk(data) : toRgb(data, info.channels),
  };
});

/** Grey, grey + alpha, RGB or RGBA bytes to RGB over white. */
function toRgb(data: Uint8Array<ArrayBuffer>, channels: number): RgbImage["data"] {
  // A Buffer is a Uint8Array whose `slice` does not copy; callers rely on copies.
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const hasAlpha = channels === 2 || channels === 4;
  const isGrey = channels <= 2;
  const count = data.length / channels;
  const rgb = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    const at = i * channels;
    const alpha = hasAlpha ? (data[at + channels - 1] as number) : 255;
    for (let c = 0; c < 3; c++) rgb[i * 3 + c] = overWhite(data[isGrey ? at : at + c] as number, alpha);
  }
  return rgb;
}

/** Ink to light without a press profile, as PIL and browsers do: (255 - ink) scaled by (255 - black). */
function fromCmyk(data: Uint8Array): RgbImage["data"] {
  const count = data.length / 4;
  const rgb = new Uint8Array(count * 3);
  for (let i = 0; i < count; i++) {
    const light = 255 - (data[i * 4 + 3] as number);
    for (let c = 0; c < 3; c++) {
      const product = (data[i * 4 + c] as number) * light + 128;
      rgb[i * 3 + c] = light - ((product + (product >> 8)) >> 8);
    }
  }
  return rgb;
}
