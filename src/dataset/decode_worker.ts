// A worker that decodes and cuts pictures, for decode_pool.ts.
import { Failure } from "../failure.ts";
import { cutImage } from "./cut.ts";
import { decoderWithin } from "./decode_browser.ts";
import type { FromDecoder, ToDecoder } from "./decode_pool.ts";

const post = (message: FromDecoder, moved: Transferable[] = []) =>
  self.postMessage(message, { transfer: moved });
/** Pictures that wait until there is memory for them. */
const waiting = new Map<number, () => void>();

self.onmessage = async ({ data }: MessageEvent<ToDecoder>) => {
  const { id } = data;
  if (data.kind === "go") {
    waiting.get(id)?.();
    waiting.delete(id);
    return;
  }
  const decode = decoderWithin(async (pixels, work) => {
    await new Promise<void>((resolve) => {
      waiting.set(id, resolve);
      post({ kind: "needs", id, pixels });
    });
    return work();
  });
  try {
    const image = cutImage(await decode(data.blob, data.path), data.cut);
    post({ kind: "image", id, image }, [image.data.buffer]);
  } catch (error) {
    post({ kind: "failed", id, failure: Failure.from(error).parts });
  }
};
