// A set made of another's pictures, each under every one of some corruptions: corruption by corruption, picture by
// picture. Pictures are corrupted when they are asked for and kept while memory lasts.
import { nextTurn } from "../../turn.ts";
import { encodeBmp } from "../bmp.ts";
import type { PixelStore } from "../pixels.ts";
import type { DataIssue, ImageSet, Pixels } from "../types.ts";
import { corrupt } from "./corruptions.ts";

const DEFAULT_CACHE_BYTES = 256 * 1024 * 1024;

export class CorruptedPixels implements Pixels {
  readonly #base: () => PixelStore;
  readonly #sources: readonly { index: number; path: string }[];
  readonly #names: readonly string[];
  readonly #severity: number;
  readonly #cacheBytes: number;
  readonly #kept = new Map<number, Uint8Array<ArrayBuffer>>();
  #keptBytes = 0;
  /** What was kept came from here; a model of another size brings other pixels. */
  #keptFrom: PixelStore | null = null;

  /**
   * @param base where the pictures' own pixels are now
   * @param sources the pictures, by their place in the base
   */
  constructor(
    base: () => PixelStore,
    sources: readonly { index: number; path: string }[],
    names: readonly string[],
    severity: number,
    cacheBytes = DEFAULT_CACHE_BYTES,
  ) {
    this.#base = base;
    this.#sources = sources;
    this.#names = names;
    this.#severity = severity;
    this.#cacheBytes = cacheBytes;
  }

  readable(index: number): Promise<boolean> {
    const source = this.#sources[index % this.#sources.length];
    return source ? this.#base().readable(source.index) : Promise.resolve(false);
  }

  /** What cannot be read is reported with the set that it is read from. */
  readonly unreadable = [];

  issues(): DataIssue[] {
    return [];
  }

  async pixels(indices: readonly number[]): Promise<Uint8Array<ArrayBuffer>> {
    const { height, width } = this.#base();
    const stride = height * width * 3;
    const batch = new Uint8Array(indices.length * stride);
    for (const [n, index] of indices.entries()) batch.set(await this.#one(index), n * stride);
    return batch;
  }

  /** A picture as a file, for showing. */
  async file(index: number): Promise<Blob> {
    const { height, width } = this.#base();
    return encodeBmp({ width, height, data: await this.#one(index) });
  }

  async #one(index: number): Promise<Uint8Array<ArrayBuffer>> {
    const base = this.#base();
    if (base !== this.#keptFrom) {
      this.#kept.clear();
      this.#keptBytes = 0;
      this.#keptFrom = base;
    }
    const known = this.#kept.get(index);
    if (known) return known;
    const count = this.#sources.length;
    const source = this.#sources[index % count];
    const name = this.#names[Math.floor(index / count)];
    if (!source || name === undefined) throw new RangeError(`there is no picture ${index}`);
    const { height, width } = base;
    const image = { width, height, data: await base.pixels([source.index]) };
    await nextTurn();
    const { data } = corrupt(image, name, this.#severity, source.path);
    if (this.#keptFrom === base && this.#keptBytes + data.length <= this.#cacheBytes) {
      this.#kept.set(index, data);
      this.#keptBytes += data.length;
    }
    return data;
  }
}

/** The corrupted pictures as a set of images: all to measure on, classes as in the base. */
export function corruptedImages(
  name: string,
  base: ImageSet,
  indices: readonly number[],
  names: readonly string[],
  pixels: CorruptedPixels,
): ImageSet {
  const items = names.flatMap((corruption, c) =>
    indices.map((index, i) => {
      const { label, path } = base.items[index] as ImageSet["items"][number];
      const place = c * indices.length + i;
      return {
        path: `${corruption}/${path}`,
        label,
        split: "test" as const,
        read: () => pixels.file(place),
      };
    }),
  );
  return { name, classes: base.classes, items, splitOrigin: "none", issues: [], reading: null };
}
