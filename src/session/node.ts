// The session without a browser: images decoded by sharp, folders read from disk.
import { classifierFile, companions } from "../checkpoint/choose_files.ts";
import { type FetchedModel, fetchModel, type ModelRequest } from "../checkpoint/fetch_model.ts";
import { nodeModelStore } from "../checkpoint/model_store_node.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { decodeImage } from "../dataset/decode_node.ts";
import { createEngine } from "./engine.ts";
import { type LibraryProgress, paced } from "./library.ts";
import type { Session, SourceFile } from "./protocol.ts";

export type { FetchedModel } from "../checkpoint/fetch_model.ts";
export { BadCheckpoint } from "../checkpoint/open_checkpoint.ts";
export { walkDirectory as walk } from "../dataset/walk_node.ts";

/** What is read beside a model's weights, where it is there. */
export const besideWeights: readonly string[] = [...companions, classifierFile];

/** A session in this thread. */
export const createNodeSession = (): Session => createEngine(decodeImage);

/** Fetches a model by name or address into `folder`, where it is kept, or takes it from there. */
export const fetchModelToDisk = (
  request: ModelRequest,
  folder: string,
  { signal, onProgress }: { signal: AbortSignal; onProgress: (progress: LibraryProgress) => void },
): Promise<FetchedModel> =>
  fetchModel(request, nodeModelStore(folder), { signal, onProgress: paced(onProgress) });

/** Opens a model as far as its headers; a Failure where it cannot be. */
export async function openFiles(files: SourceFile[]): Promise<void> {
  await openCheckpoint(files, {});
}
