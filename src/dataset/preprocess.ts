// From a decoded image to the 8-bit pixels the network's reference would see: resize and centre crop exactly as the
// transformers image processors do (PIL backend). Scaling to floats, mean and std happen on the device.
import { resize } from "./resize.ts";
import type { ResizeSpec, RgbImage } from "./types.ts";

/** Height and width of what `preprocess` returns: the crop, or the resize where there is none. */
export function outputSize(spec: ResizeSpec): { height: number; width: number } {
  if (spec.crop) return { height: spec.crop.height, width: spec.crop.width };
  // Shortest edge without a crop gives a size of its own to every image; a batch needs one, so the middle is kept.
  if (spec.resize.mode === "shortest") return { height: spec.resize.edge, width: spec.resize.edge };
  return { height: spec.resize.height, width: spec.resize.width };
}

/**
 * Size after the resize. For the shorter edge, the longer one is cut down to a whole number, as
 * `get_resize_output_image_size` in transformers does.
 */
export function resizedSize(
  width: number,
  height: number,
  target: ResizeSpec["resize"],
): { width: number; height: number } {
  if (target.mode === "exact") return { width: target.width, height: target.height };
  const short = Math.min(width, height);
  const long = Math.trunc((target.edge * Math.max(width, height)) / short);
  return width <= height ? { width: target.edge, height: long } : { width: long, height: target.edge };
}

/** A centre crop along one axis: what is kept of the image, and zeros before and after it where it is too small. */
function centre(size: number, crop: number): { from: number; length: number; padding: number } {
  if (crop <= size) return { from: Math.floor((size - crop) / 2), length: crop, padding: 0 };
  // transformers pads ceil((crop - size) / 2) in front and then crops from floor((size - crop) / 2) + that, i.e. 0.
  return { from: 0, length: size, padding: Math.ceil((crop - size) / 2) };
}

/**
 * Resizes and centre-crops.
 * @returns [H, W, 3] bytes, row-major, of `outputSize(spec)`; black where the crop is larger than the image
 */
export function preprocess(image: RgbImage, spec: ResizeSpec): Uint8Array<ArrayBuffer> {
  const target = outputSize(spec);
  const scaled = resizedSize(image.width, image.height, spec.resize);
  const x = centre(scaled.width, target.width);
  const y = centre(scaled.height, target.height);
  const kept = resize(image, scaled.width, scaled.height, spec.interpolation, {
    left: x.from,
    top: y.from,
    width: x.length,
    height: y.length,
  });
  if (kept.width === target.width && kept.height === target.height) {
    // `resize` hands back the decoder's own array when there was nothing to do; a caller may write into ours.
    return kept.data === image.data ? kept.data.slice() : kept.data;
  }
  const data = new Uint8Array(target.width * target.height * 3);
  for (let row = 0; row < kept.height; row++) {
    const line = kept.data.subarray(row * kept.width * 3, (row + 1) * kept.width * 3);
    data.set(line, ((row + y.padding) * target.width + x.padding) * 3);
  }
  return data;
}
