// Pictures are decoded and cut in workers beside the engine's thread, ahead of the step that needs them. Where a worker
// cannot be started, or dies, they are in the engine's own, to the same bytes.
import { Failure, type FailureParts } from "../failure.ts";
import { OwnBlob } from "../joined_blob.ts";
import { cutImage } from "./cut.ts";
import { withinMemory } from "./decode.ts";
import type { DecodeImage, ImageCut, RgbImage } from "./types.ts";

/** What a worker is told: a picture to decode, or that there is memory for the one it has asked about. */
export type ToDecoder =
  | { kind: "decode"; id: number; blob: Blob; path: string; cut: ImageCut }
  | { kind: "go"; id: number };
export type FromDecoder =
  | { kind: "needs"; id: number; pixels: number }
  | { kind: "image"; id: number; image: RgbImage }
  | { kind: "failed"; id: number; failure: FailureParts };

/** What of a Worker is used. */
export interface DecoderWorker {
  postMessage(message: ToDecoder): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<FromDecoder>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

interface Job {
  worker: DecoderWorker;
  resolve: (image: RgbImage) => void;
  reject: (reason: unknown) => void;
  /** Gives back the memory that it was let have. */
  ended: () => void;
}

/** Why a job is done in this thread after all. */
const NO_WORKER = Symbol("no worker");

/** Workers for a machine of so many cores: the engine has one to itself. */
export const poolSize = (cores: number) => Math.max(0, Math.min(4, cores - 1));

/**
 * @param decode in this thread
 * @param start starts a worker (decode_worker.ts); called when the first pictures are asked for
 * @param size most workers; with none everything is done in this thread
 */
export function pooled(decode: DecodeImage, start: () => DecoderWorker, size: number): DecodeImage {
  const workers = new Map<DecoderWorker, number>();
  const jobs = new Map<number, Job>();
  let lastId = 0;
  let broken = size === 0;

  function giveUp(): void {
    broken = true;
    for (const worker of workers.keys()) worker.terminate();
    workers.clear();
    for (const id of [...jobs.keys()]) end(id)?.reject(NO_WORKER);
  }

  function end(id: number): Job | undefined {
    const job = jobs.get(id);
    if (!job) return undefined;
    jobs.delete(id);
    if (workers.has(job.worker)) workers.set(job.worker, (workers.get(job.worker) as number) - 1);
    job.ended();
    return job;
  }

  function hear(message: FromDecoder): void {
    const { id } = message;
    if (message.kind === "image") end(id)?.resolve(message.image);
    else if (message.kind === "failed") end(id)?.reject(new Failure(message.failure));
    else void whenThereIsMemory(id, message.pixels);
  }

  /** Big images wait for each other, in whichever worker they are. */
  function whenThereIsMemory(id: number, pixels: number): Promise<void> {
    return withinMemory(pixels, async () => {
      const job = jobs.get(id);
      if (!job) return;
      const done = new Promise<void>((resolve) => {
        job.ended = resolve;
      });
      job.worker.postMessage({ kind: "go", id });
      await done;
    });
  }

  /** The worker with the least to do; another one while there may be more. */
  function choose(): DecoderWorker {
    const [idlest] = [...workers].sort(([, a], [, b]) => a - b);
    if (idlest && (idlest[1] === 0 || workers.size >= size)) return idlest[0];
    const started = start();
    started.onmessage = ({ data }) => hear(data);
    started.onerror = giveUp;
    workers.set(started, 0);
    return started;
  }

  async function elsewhere(blob: Blob, path: string, cut: ImageCut): Promise<RgbImage> {
    const worker = choose();
    const id = ++lastId;
    workers.set(worker, (workers.get(worker) as number) + 1);
    const image = new Promise<RgbImage>((resolve, reject) => {
      jobs.set(id, { worker, resolve, reject, ended: () => {} });
    });
    worker.postMessage({ kind: "decode", id, blob, path, cut });
    return image;
  }

  async function cut(blob: Blob, path: string, wanted: ImageCut): Promise<RgbImage> {
    // A Blob of ours holds nothing in another thread.
    if (!broken && !(blob instanceof OwnBlob)) {
      try {
        return await elsewhere(blob, path, wanted);
      } catch (error) {
        if (error instanceof Failure) throw error;
        if (error !== NO_WORKER) giveUp();
      }
    }
    return cutImage(await decode(blob, path), wanted);
  }

  return Object.assign((blob: Blob, path: string) => decode(blob, path), { cut });
}
