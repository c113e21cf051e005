// What is made of a decoded image before it is kept: the network's input, or the larger picture that random crops are
// taken from. The same in the engine's own thread and in a worker beside it (decode_pool.ts).
import { cropSource } from "./augment.ts";
import { outputSize, preprocess } from "./preprocess.ts";
import type { ImageCut, RgbImage } from "./types.ts";

/** Resizes and crops; says on how few bits a file of 16 was found to use, as the decoder did. */
export function cutImage(image: RgbImage, { kind, spec }: ImageCut): RgbImage {
  const size = outputSize(spec);
  const cut =
    kind === "input"
      ? { ...size, data: preprocess(image, spec) }
      : cropSource(image, size, spec.interpolation);
  return image.bits === undefined ? cut : { ...cut, bits: image.bits };
}
