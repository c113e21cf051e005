// A model's files from what --model names: a folder, a file, `hf:org/name[@revision]` on the Hub, or an address.
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { type FetchedModel, fetchModelToDisk, walk } from "../session/node.ts";
import type { SessionEvent, SourceFile } from "../session/protocol.ts";

/** Where fetched models are kept. */
const cacheFolder = () => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "selora", "models");

/**
 * Finds or fetches the files of `model`. A token for the Hub comes from HF_TOKEN, another server with its interface
 * from HF_ENDPOINT, as the Hub's own tools have it.
 * @param emit is told how far a fetch is
 */
export async function modelFiles(
  model: string,
  emit: (event: Extract<SessionEvent, { kind: "progress" | "notice" }>) => void,
): Promise<SourceFile[]> {
  if (!/^(hf:|https?:\/\/)/.test(model)) return filesOnDisk(model);
  const abort = new AbortController();
  const stop = () => abort.abort();
  process.once("SIGINT", stop);
  try {
    const { files, note }: FetchedModel = await fetchModelToDisk(
      { model, token: process.env.HF_TOKEN, hubUrl: process.env.HF_ENDPOINT || undefined },
      cacheFolder(),
      {
        signal: abort.signal,
        onProgress: ({ file, done, total, secondsLeft }) =>
          emit({
            kind: "progress",
            task: "model",
            label: `Fetching ${file}, bytes`,
            done,
            total: total ?? done,
            secondsLeft,
          }),
      },
    );
    if (note) emit({ kind: "notice", text: note });
    return files;
  } finally {
    process.off("SIGINT", stop);
  }
}

/** What is read beside a model's weights, its tokenizer among it. */
const besideWeights = [
  "config.json",
  "open_clip_config.json",
  "preprocessor_config.json",
  "adapter_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "merges.txt",
  "classifier.safetensors",
];

/** A folder, or one file and those that belong beside it. */
async function filesOnDisk(path: string): Promise<SourceFile[]> {
  const files = await walk(path);
  if (!(await stat(path)).isFile()) return files;
  // An index is nothing without the files it names.
  if (path.endsWith(".index.json")) return walk(dirname(path));
  for (const name of besideWeights) {
    const beside = join(dirname(path), name);
    if (await stat(beside).catch(() => null)) files.push(...(await walk(beside)));
  }
  return files;
}
