// Random changes to training images: mirror images, and random crops stretched to the network's input. Everything is
// drawn from one stream for each seed, epoch and image, so that the same run shows the same pixels.
import { type Random, random, seedFor } from "../random.ts";
import { resizedSize } from "./preprocess.ts";
import { cut, type Interpolation, resize } from "./resize.ts";
import type { RgbImage } from "./types.ts";

export interface Augmentation {
  kind: "none" | "flip" | "crop-flip";
  seed: number;
  epoch: number;
}

/**
 * Share of the image a random crop keeps. Milder than the 8 % of ImageNet training: an adapter sees an image some ten
 * times, not three hundred, and a class is often told by a small part that a tight crop would miss.
 */
const CROP_AREA = [0.6, 1] as const;
/** Width to height of a random crop, drawn evenly on a logarithmic scale. */
const CROP_RATIO = [3 / 4, 4 / 3] as const;

/** The stream of one image in one epoch; `index` is its place in the set. */
export function augmentationStream({ seed, epoch }: Augmentation, index: number): Random {
  return random(seedFor(seed, `augment ${epoch} ${index}`));
}

/**
 * The image as it is kept for random crops: scaled down so far that the smallest crop still has as many pixels as the
 * network takes, and no more than twice as long as it is wide (the middle is kept). Never scaled up.
 */
export function cropSource(
  image: RgbImage,
  size: { height: number; width: number },
  interpolation: Interpolation,
): RgbImage {
  const edge = Math.ceil(Math.max(size.height, size.width) / Math.sqrt(CROP_AREA[0]));
  const short = Math.min(image.width, image.height);
  const scaled = short <= edge ? image : resizedSize(image.width, image.height, { mode: "shortest", edge });
  const width = Math.min(scaled.width, 2 * scaled.height);
  const height = Math.min(scaled.height, 2 * scaled.width);
  return resize(image, scaled.width, scaled.height, interpolation, {
    left: (scaled.width - width) >> 1,
    top: (scaled.height - height) >> 1,
    width,
    height,
  });
}

/** A random part of `image`, resized to `size`: [H, W, 3] bytes. */
export function randomCrop(
  image: RgbImage,
  size: { height: number; width: number },
  interpolation: Interpolation,
  stream: Random,
): Uint8Array<ArrayBuffer> {
  const between = (low: number, high: number) => low + (high - low) * stream.next();
  let { width, height } = image;
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = image.width * image.height * between(CROP_AREA[0], CROP_AREA[1]);
    const ratio = Math.exp(between(Math.log(CROP_RATIO[0]), Math.log(CROP_RATIO[1])));
    const tryWidth = Math.max(1, Math.round(Math.sqrt(area * ratio)));
    const tryHeight = Math.max(1, Math.round(Math.sqrt(area / ratio)));
    if (tryWidth <= image.width && tryHeight <= image.height) {
      width = tryWidth;
      height = tryHeight;
      break;
    }
    // A long image holds no such crop; the squarest part of it comes closest.
    width = Math.min(image.width, Math.round(image.height * CROP_RATIO[1]));
    height = Math.min(image.height, Math.round(image.width / CROP_RATIO[0]));
  }
  const part = cut(image, {
    left: stream.below(image.width - width + 1),
    top: stream.below(image.height - height + 1),
    width,
    height,
  });
  const { data } = resize(part, size.width, size.height, interpolation);
  return data === image.data ? data.slice() : data;
}

/** Mirrors [H, W, 3] bytes left to right, in place, on the toss of a coin. */
export function randomFlip(data: Uint8Array, width: number, stream: Random): void {
  if (stream.next() < 0.5) return;
  for (let row = 0; row < data.length; row += width * 3) {
    for (let left = row, right = row + (width - 1) * 3; left < right; left += 3, right -= 3) {
      for (let c = 0; c < 3; c++) {
        const kept = data[left + c] as number;
        data[left + c] = data[right + c] as number;
        data[right + c] = kept;
      }
    }
  }
}
