// A file as a person dropped it. Checkpoints and data sets both start from these, in the browser and in Node.

export interface SourceFile {
  /** Path inside the drop, with `/`, e.g. `my-model/config.json`; a loose file has no folder. One that ends in `/`
   *  is a folder without files, or one that has not been looked into. */
  path: string;
  /** The bytes, read lazily and never more than asked for. */
  blob: Blob;
  /** Set where this stands for many files, to be looked into where they are needed (open_folders.ts): a folder, or files
   *  that lie in `blob` one after the other. */
  inside?: FileSystemDirectoryHandle | PackedFiles;
}

/** Paths and sizes of files that are joined to one Blob. Of a hundred thousand they are two values. */
export interface PackedFiles {
  /** Each is ended by a NUL. */
  paths: string;
  sizes: Float64Array<ArrayBuffer>;
}
