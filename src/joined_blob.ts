// Blobs joined to one, for files of any size. The platform's own constructor finds a Blob empty that reads its bytes by
// itself (large_file_node.ts), and Node's refuses to make one of 4 GiB and more.

/** Makes what is a Blob to all that ask, and holds nothing: in a browser each one that the platform makes is another
 *  process's as well, and fifty thousand of them are hundreds of megabytes. */
const Bare = function bare() {} as unknown as typeof Blob;
Bare.prototype = Object.create(Blob.prototype);

/** A Blob that reads its bytes by itself. */
export abstract class OwnBlob extends Bare {
  abstract override get size(): number;
  abstract override slice(from?: number, to?: number): Blob;
  abstract override stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
  abstract override arrayBuffer(): Promise<ArrayBuffer>;

  override get type(): string {
    return "";
  }

  /** A Blob of the platform's own with these bytes, where there can be one. */
  async opened(): Promise<Blob> {
    return this;
  }

  override async text(): Promise<string> {
    return new TextDecoder().decode(await this.arrayBuffer());
  }

  /** Where a slice begins and ends, as `Blob.slice` counts: from the end where it is negative, never outside. */
  protected bounds(from = 0, to = this.size): [begin: number, end: number] {
    const place = (at: number) => Math.max(0, Math.min(this.size, at < 0 ? this.size + at : at));
    return [place(from), Math.max(place(from), place(to))];
  }
}

/** The Blob of the platform's own that a Blob stands for, which is quicker to join to others; none of its bytes is read. */
export const opened = (blob: Blob): Promise<Blob> =>
  blob instanceof OwnBlob ? blob.opened() : Promise.resolve(blob);

/** The parts one after the other; none of their bytes is read or copied now. */
export function joinBlobs(parts: readonly (Blob | Uint8Array<ArrayBuffer> | string)[]): Blob {
  if (!parts.some((part) => part instanceof OwnBlob)) {
    try {
      return new Blob([...parts]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return new JoinedBlob(parts.map((part) => (part instanceof Blob ? part : new Blob([part]))));
}

class JoinedBlob extends OwnBlob {
  readonly #parts: readonly Blob[];
  readonly #size: number;

  constructor(parts: readonly Blob[]) {
    super();
    this.#parts = parts;
    this.#size = parts.reduce((sum, { size }) => sum + size, 0);
  }

  override get size(): number {
    return this.#size;
  }

  override slice(from?: number, to?: number): Blob {
    const [begin, end] = this.bounds(from, to);
    const pieces: Blob[] = [];
    let at = 0;
    for (const part of this.#parts) {
      const first = Math.max(0, begin - at);
      const last = Math.min(part.size, end - at);
      if (first < last) pieces.push(part.slice(first, last));
      at += part.size;
    }
    return joinBlobs(pieces);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(new Uint8Array(await part.arrayBuffer()), at);
      at += part.size;
    }
    return bytes.buffer;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const parts = this.#parts[Symbol.iterator]();
    let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null = null;
    return new ReadableStream({
      async pull(controller) {
        for (;;) {
          if (!reader) {
            const next = parts.next();
            if (next.done) return controller.close();
            reader = (next.value.stream() as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
          }
          const { done, value } = await reader.read();
          if (!done) return controller.enqueue(value);
          reader = null;
        }
      },
      cancel: (reason) => reader?.cancel(reason),
    });
  }
}
