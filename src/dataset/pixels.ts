// A set's images as the network's input: decoded once, prepared, kept while memory lasts, and handed out by the batch.
// `prepare` runs over a small set, and over what a large one is measured on, before training, so that files that cannot
// be read are named then; other images are decoded when they are asked for.
import { Failure } from "../failure.ts";
import { type Augmentation, augmentationStream, randomCrop, randomFlip } from "./augment.ts";
import { cutImage } from "./cut.ts";
import { outputSize } from "./preprocess.ts";
import type {
  DataIssue,
  DecodeImage,
  ImageCut,
  ImageSet,
  Pixels,
  ResizeSpec,
  RgbImage,
  Unreadable,
} from "./types.ts";

export interface PixelStoreOptions {
  /** Most bytes of prepared pixels kept in memory. */
  cacheBytes?: number;
}

type Kind = ImageCut["kind"];

const DEFAULT_CACHE_BYTES = 512 * 1024 * 1024;
/** Images decoded at a time: enough to keep every worker of the pool busy (decode_pool.ts), or a
 *  decoder thread or two while this thread resizes. */
const CONCURRENCY = 4;

export class PixelStore implements Pixels {
  /** Input size in pixels. */
  readonly height: number;
  readonly width: number;

  readonly #set: ImageSet;
  readonly #spec: ResizeSpec;
  readonly #decode: DecodeImage;
  readonly #cacheBytes: number;
  readonly #kept: Record<Kind, Map<number, RgbImage>> = { input: new Map(), "crop-source": new Map() };
  #keptBytes = 0;
  readonly #pending = new Map<string, Promise<RgbImage>>();
  readonly #unreadable = new Map<number, Unreadable>();
  /** Files of 16 bits that use fewer, and how many. */
  readonly #fewBits = new Map<number, number>();
  readonly #failures = new Map<number, Failure>();
  #running = 0;
  readonly #queue: (() => void)[] = [];

  /** @param spec how the model's reference prepares images; its output size is the network's input size */
  constructor(set: ImageSet, spec: ResizeSpec, decode: DecodeImage, options: PixelStoreOptions = {}) {
    this.#set = set;
    this.#spec = spec;
    this.#decode = decode;
    this.#cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
    const size = outputSize(spec);
    this.height = size.height;
    this.width = size.width;
  }

  /** Files found unreadable so far, in the set's order. */
  get unreadable(): Unreadable[] {
    return [...this.#unreadable.values()].sort((a, b) => a.index - b.index);
  }

  /** Bytes of prepared pixels in memory now. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Those of `indices` that are not known to be unreadable. */
  usable(indices: readonly number[]): number[] {
    return indices.filter((index) => !this.#unreadable.has(index));
  }

  /**
   * Decodes images ahead of use and finds out which cannot be read; those are remembered and never handed out.
   * @param onProgress called after each image
   * @throws Failure `cancelled` when `signal` is aborted; never because of a file
   */
  async prepare(
    indices: readonly number[],
    onProgress?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<Unreadable[]> {
    let next = 0;
    let done = 0;
    const run = async () => {
      while (next < indices.length && !signal?.aborted) {
        const index = indices[next++] as number;
        if (!this.#unreadable.has(index)) {
          await this.#source(index, "input").catch((error: unknown) => {
            if (this.#unreadable.has(index)) return;
            next = indices.length;
            throw error;
          });
        }
        onProgress?.(++done, indices.length);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, run));
    if (signal?.aborted) {
      throw new Failure({
        code: "cancelled",
        what: "Reading the images was stopped.",
        remedy: "Start again to read the rest.",
      });
    }
    const asked = new Set(indices);
    return this.unreadable.filter(({ index }) => asked.has(index));
  }

  async readable(index: number): Promise<boolean> {
    if (this.#unreadable.has(index)) return false;
    try {
      await this.#source(index, "input");
    } catch (error) {
      if (!this.#unreadable.has(index)) throw error;
    }
    return !this.#unreadable.has(index);
  }

  /** The report's rows about files that are read by a guess, and unreadable ones; classes that lose all their training
   *  images are errors. */
  issues(): DataIssue[] {
    return [...this.#guessed(), ...this.#lost()];
  }

  #guessed(): DataIssue[] {
    const few = [...this.#fewBits].sort(([a], [b]) => a - b);
    if (few.length === 0) return [];
    const counts = [8, 12].flatMap((bits) => {
      const count = few.filter(([, used]) => used === bits).length;
      if (count === 0) return [];
      return [
        count === 1 ? `1 image uses only ${bits}` : `${count.toLocaleString("en")} images use only ${bits}`,
      ];
    });
    return [
      {
        severity: "warning",
        text: `${counts.join(", ")} of ${few.length === 1 ? "its" : "their"} 16 bits. Those are taken as the whole range, because the picture would be nearly black otherwise; one that is meant to be so dark has to be saved with 8 bits.`,
        paths: few.slice(0, 20).flatMap(([index]) => this.#set.items[index]?.path ?? []),
      },
    ];
  }

  #lost(): DataIssue[] {
    const unreadable = this.unreadable;
    if (unreadable.length === 0) return [];
    const first = unreadable[0] as Unreadable;
    const issues: DataIssue[] = [
      {
        severity: "warning",
        text:
          unreadable.length === 1
            ? `1 image cannot be read and is left out: ${first.reason}`
            : `${unreadable.length.toLocaleString("en")} images cannot be read and are left out. The first: ${first.reason}`,
        paths: unreadable.slice(0, 20).map(({ path }) => path),
      },
    ];
    const { items, classes } = this.#set;
    const trained = new Set<number>();
    const intact = new Set<number>();
    items.forEach((item, index) => {
      if (item.split !== "train") return;
      trained.add(item.label);
      if (!this.#unreadable.has(index)) intact.add(item.label);
    });
    const lost = [...trained].filter((label) => !intact.has(label)).map((label) => classes[label]);
    if (lost.length > 0) {
      issues.push({
        severity: "error",
        text: `No training image of ${lost.slice(0, 6).join(", ")} can be read, so there is nothing to learn it from.`,
        paths: [],
      });
    }
    return issues;
  }

  /**
   * Input pixels of a batch.
   * @returns [n, H, W, 3] bytes, row-major, in the order of `indices`
   * @throws Failure `bad-file` naming a file that cannot be decoded; `prepare` and `usable` keep it from happening
   */
  async pixels(indices: readonly number[], augmentation?: Augmentation): Promise<Uint8Array<ArrayBuffer>> {
    const size = { height: this.height, width: this.width };
    const stride = size.height * size.width * 3;
    const batch = new Uint8Array(indices.length * stride);
    const crops = augmentation?.kind === "crop-flip";
    const sources = indices.map((index) => this.#source(index, crops ? "crop-source" : "input"));
    await Promise.all(
      sources.map(async (source, n) => {
        const image = await source;
        const out = batch.subarray(n * stride, (n + 1) * stride);
        if (!augmentation || augmentation.kind === "none") {
          out.set(image.data);
          return;
        }
        const stream = augmentationStream(augmentation, indices[n] as number);
        out.set(crops ? randomCrop(image, size, this.#spec.interpolation, stream) : image.data);
        randomFlip(out, size.width, stream);
      }),
    );
    return batch;
  }

  async #source(index: number, kind: Kind): Promise<RgbImage> {
    const kept = this.#kept[kind].get(index);
    if (kept) return kept;
    const failure = this.#failures.get(index);
    if (failure) throw failure;
    const key = `${kind} ${index}`;
    let pending = this.#pending.get(key);
    if (!pending) {
      pending = this.#load(index, kind).finally(() => this.#pending.delete(key));
      this.#pending.set(key, pending);
    }
    return pending;
  }

  async #load(index: number, kind: Kind): Promise<RgbImage> {
    const item = this.#set.items[index];
    if (!item) throw new RangeError(`${this.#set.name} has no image ${index}`);
    await this.#enter();
    try {
      const cut = { kind, spec: this.#spec };
      const blob = await item.read();
      const source = this.#decode.cut
        ? await this.#decode.cut(blob, item.path, cut)
        : cutImage(await this.#decode(blob, item.path), cut);
      if (source.bits !== undefined) this.#fewBits.set(index, source.bits);
      this.#keep(index, kind, source);
      return source;
    } catch (error) {
      const failure = Failure.from(error);
      // Only the file's own faults are held against it; out of memory, say, is not one.
      if (failure.parts.code === "bad-file") {
        this.#unreadable.set(index, { index, path: item.path, reason: failure.message });
        this.#failures.set(index, failure);
      }
      throw failure;
    } finally {
      this.#running--;
      this.#queue.shift()?.();
    }
  }

  /** Waits for a turn to decode; the turn ends in `#load`. */
  async #enter(): Promise<void> {
    while (this.#running >= CONCURRENCY) await new Promise<void>((resume) => this.#queue.push(resume));
    this.#running++;
  }

  /**
   * Keeps what fits. Epochs run over the same images again and again, where dropping the least recently used would
   * drop each image just before its turn; so nothing is dropped, except the kind that is no longer asked for.
   */
  #keep(index: number, kind: Kind, image: RgbImage): void {
    const other = this.#kept[kind === "input" ? "crop-source" : "input"];
    const bytes = image.data.length;
    for (const [at, dropped] of other) {
      if (this.#keptBytes + bytes <= this.#cacheBytes) break;
      other.delete(at);
      this.#keptBytes -= dropped.data.length;
    }
    if (this.#keptBytes + bytes > this.#cacheBytes) return;
    this.#kept[kind].set(index, image);
    this.#keptBytes += bytes;
  }
}
