// A file as a person dropped it. Checkpoints and data sets both start from these, in the browser and in Node.

export interface SourceFile {
  /** Path inside the drop, with `/`, e.g. `my-model/config.json`; a loose file has no folder. One that ends in `/`
   *  is a folder without files. */
  path: string;
  /** The bytes, read lazily and never more than asked for. */
  blob: Blob;
}
