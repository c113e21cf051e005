// A model at a plain address: a file of weights, or a folder with model.safetensors or pytorch_model.bin in it, whole or
// in shards, and what is read beside them. A folder cannot be listed, so the usual names are tried.
import { Failure } from "../failure.ts";
import { companions } from "./choose_files.ts";
import { downloadInto, type FetchOptions, Refused, type ServerOptions } from "./download.ts";
import { parseJsonObject } from "./json.ts";
import {
  damagedFiles,
  type Found,
  type ModelRecord,
  type ModelStore,
  openKept,
  readRecord,
  STARTED,
  weightsEnding,
  writeComplete,
} from "./model_store.ts";

/** What is looked for in a folder, which cannot be listed. */
const usual = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
const fileName = /^\w[\w.-]{0,200}$/;
const MAX_INDEX = 8_000_000;

/** Fetches a model from `url` into `store`, unless it is kept there; gives its id. */
export async function fetchAddress(url: URL, store: ModelStore, options: FetchOptions): Promise<Found> {
  const base = url.pathname.split("/").at(-1) ?? "";
  const isFile = weightsEnding.test(base) || /\.index(\.\w+)?\.json$/i.test(base);
  const path = isFile ? url.pathname.slice(0, -base.length) : url.pathname.replace(/\/*$/, "/");
  const address = (name: string) => new URL(`${path}${name}${url.search}`, url).href;
  const nothing = (what: string) =>
    new Refused({
      code: "network",
      what,
      where: url.href,
      remedy: "Check the address: a file of weights, or a folder with model.safetensors in it.",
    });
  const names = isFile ? [base] : usual;
  if (isFile && !fileName.test(base)) throw nothing("The file's name is none that can be kept.");

  const id = await idOf(url.href);
  const kept = await openKept(store, id);
  if (kept) return { id, note: null, files: kept };
  const damaged = await damagedFiles(store, id);
  const record: ModelRecord = {
    version: 1,
    source: url.href,
    revision: null,
    commit: null,
    files: (await readRecord(store, id, STARTED))?.files ?? [],
    when: Date.now(),
  };
  const server: ServerOptions = {
    ...options,
    immutable: false,
    refusal: async (response) => {
      await response.body?.cancel();
      const { status } = response;
      if (status >= 500 || status === 408 || status === 429) return null;
      const gone = status === 404 || status === 410;
      return nothing(
        gone ? "There is no model here." : `The server refuses this address (status ${status}).`,
      );
    },
  };
  const take = async (name: string) => {
    await downloadInto(store, id, record, name, address(name), { ...server, anew: damaged.has(name) });
    // A site made of one page gives that page for every address.
    const start = await (await store.blob(id, name))?.slice(0, 1).text();
    if (start === "<") throw nothing("There is a web page here and no model.");
  };
  /** The first of these names that is there; a Failure where there is none. */
  const takeOne = async (from: readonly string[]): Promise<string> => {
    for (const name of from) {
      try {
        await take(name);
        return name;
      } catch (error) {
        record.files = record.files.filter((file) => file.path !== name || !(error instanceof Refused));
        if (!(error instanceof Refused) || name === from.at(-1)) throw error;
      }
    }
    throw nothing("There is no model here.");
  };

  const weights = await takeOne(names);
  const all = [weights];
  if (/\.index(\.\w+)?\.json$/i.test(weights)) {
    const index = (await store.blob(id, weights)) as Blob;
    for (const shard of shardsOf(await index.slice(0, MAX_INDEX).text(), url.href)) {
      await take(shard);
      all.push(shard);
    }
  }
  for (const name of companions) {
    const there = await takeOne([name]).catch((error: unknown) => {
      if (error instanceof Refused) return null;
      throw error;
    });
    if (there) all.push(there);
  }
  record.files = record.files.filter((file) => all.includes(file.path));
  await writeComplete(store, id, record);
  return { id, note: null };
}

function shardsOf(index: string, where: string): string[] {
  const map = parseJsonObject(index, where).weight_map;
  const names = typeof map === "object" && map !== null ? [...new Set(Object.values(map))] : [];
  const usable = names.every((name) => typeof name === "string" && fileName.test(name));
  if (usable && names.length > 0 && names.length <= 1000) return names as string[];
  throw new Failure({
    code: "bad-file",
    what: "The index of the model names no files beside it.",
    where,
    remedy: "Choose another model.",
  });
}

/** A folder's name for an address, which may hold anything. */
async function idOf(href: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(href)));
  return `address-${[...digest.subarray(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
