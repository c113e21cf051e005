// Files of 4 GiB and more in the terminal. Node's openAsBlob counts their size in 32 bits (Node 20: a file of 5 GiB is a
// Blob of 1), so that their end is never seen; these are read through the file system instead.
import { createReadStream, openAsBlob } from "node:fs";
import { open, stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { OwnBlob } from "./joined_blob.ts";

/** A file as a Blob, of any size; its bytes are read only when asked for. */
export async function fileBlob(path: string): Promise<Blob> {
  const { size } = await stat(path);
  return size >= 2 ** 32 ? new LargeFile(path, 0, size) : openAsBlob(path);
}

/** A part of a file. */
class LargeFile extends OwnBlob {
  readonly #path: string;
  readonly #begin: number;
  readonly #end: number;

  constructor(path: string, begin: number, end: number) {
    super();
    this.#path = path;
    this.#begin = begin;
    this.#end = end;
  }

  override get size(): number {
    return this.#end - this.#begin;
  }

  override slice(from?: number, to?: number): Blob {
    const [begin, end] = this.bounds(from, to);
    return new LargeFile(this.#path, this.#begin + begin, this.#begin + end);
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    const file = await open(this.#path);
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, done, bytes.length - done, this.#begin + done);
        if (bytesRead === 0) throw new DOMException("The file is shorter than it was.", "NotReadableError");
        done += bytesRead;
      }
    } finally {
      await file.close();
    }
    return bytes.buffer;
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (this.size === 0) return new Blob().stream();
    const nodes = createReadStream(this.#path, { start: this.#begin, end: this.#end - 1 });
    return Readable.toWeb(nodes) as ReadableStream<Uint8Array<ArrayBuffer>>;
  }
}
