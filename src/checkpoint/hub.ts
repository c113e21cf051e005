// The Hugging Face Hub: which commit a name means, which of its files are the model, and what its refusals mean. The
// interface is @huggingface/hub's; the files themselves are fetched by download.ts, so that a cut costs nothing.
import { Failure } from "../failure.ts";
import { chooseFiles, classifierFile, companions, isWeights } from "./choose_files.ts";
import { downloadInto, type FetchOptions, fetchCancelled, Refused, unreachable } from "./download.ts";
import { knownByName } from "./file_kinds.ts";
import { parseJsonObject, quoted } from "./json.ts";
import {
  COMPLETE,
  damagedFiles,
  type FileRecord,
  type Found,
  type ModelRecord,
  type ModelStore,
  openKept,
  readRecord,
  writeComplete,
} from "./model_store.ts";

export interface HubModel {
  name: string;
  /** null for the usual one. */
  revision: string | null;
  hubUrl: string;
  token: string | undefined;
}

const MAX_COMPANION = 50_000_000;
const MAX_LISTED = 20_000;

/**
 * Fetches a model of the Hub into `store`, unless its commit is kept there; gives its id. Where the Hub cannot be asked,
 * a model that is kept under the same name and revision is taken, and the note says so.
 */
export async function fetchFromHub(
  model: HubModel,
  store: ModelStore,
  options: FetchOptions,
): Promise<Found> {
  const { name, revision, hubUrl, token } = model;
  const where = revision ? `${name}@${revision}` : name;
  const ask = askHub(model, where, options.signal);
  const given = { hubUrl, fetch: ask, ...(token ? { accessToken: token } : {}) };
  // Loaded only now: a page that never asks for a model by name never needs it.
  const { listFiles, modelInfo } = await import("@huggingface/hub");

  let commit: string;
  try {
    const info = await modelInfo({
      name,
      additionalFields: ["sha"],
      ...(revision ? { revision } : {}),
      ...given,
    });
    commit = info.sha;
  } catch (error) {
    const failure = asFailure(error, where);
    const kept = failure.parts.code === "network" && !(failure instanceof Refused);
    const id = kept ? await newestKept(store, name, revision) : null;
    if (id) return { id, note: `${failure.parts.what} This is the model as it was fetched before.` };
    throw failure;
  }
  if (!/^[0-9a-f]{7,64}$/.test(commit)) throw asFailure(new Error("no commit"), where);
  const id = `${name.replace("/", "--")}@${commit.slice(0, 16)}`;
  const kept = await openKept(store, id);
  if (kept) return { id, note: null, files: kept };

  const listed: FileRecord[] = [];
  try {
    for await (const { type, path, size } of listFiles({
      repo: { type: "model", name },
      revision: commit,
      ...given,
    })) {
      if (listed.length >= MAX_LISTED) break;
      if (type === "file" && /^\w[\w.-]{0,200}$/.test(path)) listed.push({ path, size, etag: null });
    }
  } catch (error) {
    throw asFailure(error, where);
  }
  const address = (path: string) => `${hubUrl}/${name}/resolve/${commit}/${path}`;
  const files = filesOfModel(listed, where);
  const adapter = listed.find(({ path, size }) => path === "adapter_config.json" && (size ?? 0) < 1_000_000);
  if (adapter && files.every(({ path }) => !isWeights(path) || /^adapter_model\./.test(path))) {
    const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
    const text = await (await ask(address(adapter.path), { headers })).text();
    throw isAdapter(parseJsonObject(text, `${where}/${adapter.path}`), where);
  }

  if (files.length === 0) {
    throw knownByName(listed.map(({ path }) => `${where}/${path}`)) ?? noWeights(where);
  }

  const damaged = await damagedFiles(store, id);
  await checkRoom(store, id, files, where);
  const record: ModelRecord = { version: 1, source: name, revision, commit, files, when: Date.now() };
  const refusal = (response: Response) => hubRefusal(response, where, token !== undefined);
  for (const { path } of files) {
    await downloadInto(store, id, record, path, address(path), {
      ...options,
      token,
      refusal,
      immutable: true,
      anew: damaged.has(path),
    });
  }
  await writeComplete(store, id, record);
  return { id, note: null };
}

/** The library's way out: to the Hub's own address only, and with reasons when it says no. */
function askHub({ hubUrl, token }: HubModel, where: string, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.origin !== new URL(hubUrl).origin) {
      throw new Refused({
        code: "network",
        what: `The Hub's list of files goes on at another server, ${quoted(url.host)}.`,
        where,
        remedy: "Do not trust this server.",
      });
    }
    let response: Response;
    try {
      response = await fetch(url, { ...init, signal, credentials: "omit" });
    } catch (error) {
      throw signal.aborted ? fetchCancelled() : unreachable(url.href, where, 0, error);
    }
    if (response.ok) return response;
    throw (await hubRefusal(response, where, token !== undefined)) ?? busy(response, where);
  };
}

/** The newest model of this name and revision that is kept whole. */
async function newestKept(store: ModelStore, name: string, revision: string | null): Promise<string | null> {
  let newest: { id: string; when: number } | null = null;
  for (const id of await store.ids()) {
    const record = await readRecord(store, id, COMPLETE);
    if (record?.source !== name || (record.revision !== revision && record.commit !== revision)) continue;
    if (record.when > (newest?.when ?? -1)) newest = { id, when: record.when };
  }
  return newest?.id ?? null;
}

/**
 * Of a repository's files, those that make up the model; none where it holds no weights.
 * @throws Failure `bad-model` where it is not clear which are the weights, or where some are missing
 */
function filesOfModel(listed: readonly FileRecord[], where: string): FileRecord[] {
  if (!listed.some(({ path }) => isWeights(path))) return [];
  const { index, parts, questions } = chooseFiles(listed, undefined);
  if (questions[0]) throw unclear(questions[0].choices ?? [], where);
  const small = new Set<string>(companions);
  const beside = listed.filter(({ path, size }) => small.has(path) && (size ?? 0) <= MAX_COMPANION);
  const classifier = listed.filter(({ path }) => path === classifierFile);
  return [...beside, ...classifier, ...(index ? [index] : []), ...parts];
}

async function checkRoom(store: ModelStore, id: string, files: FileRecord[], where: string): Promise<void> {
  let missing = 0;
  for (const { path, size } of files) {
    missing += Math.max(0, (size ?? 0) - ((await store.blob(id, path))?.size ?? 0));
  }
  const room = await store.room();
  if (room === null || missing <= room) return;
  throw new Failure({
    code: "state",
    what: `The model needs ${missing} more bytes, but there is room for ${room}.`,
    where,
    remedy: "Remove a model that is kept, or free some disk space.",
  });
}

function isAdapter(config: Record<string, unknown>, where: string): Failure {
  const base = config.base_model_name_or_path;
  return new Failure({
    code: "bad-model",
    what: `This is a LoRA adapter${typeof base === "string" && base ? ` for ${quoted(base)}` : ""}, not a whole model.`,
    where,
    remedy: "Fetch the base model itself.",
  });
}

const unclear = (names: readonly string[], where: string) =>
  new Failure({
    code: "bad-model",
    what: `It is not clear which of its files are the weights: ${names.slice(0, 4).map(quoted).join(", ")}${names.length > 4 ? ", ..." : ""}.`,
    where,
    remedy: "Download the one you mean and drop it.",
    inTerminal: "Download the one you mean and give its path.",
  });

const noWeights = (where: string) =>
  new Failure({
    code: "bad-model",
    what: "The repository holds no weights that can be read (safetensors or PyTorch files).",
    where,
    remedy: "Choose another model.",
  });

/** What a status of the Hub means; null for those that pass by themselves. */
async function hubRefusal(response: Response, where: string, withToken: boolean): Promise<Refused | null> {
  const { status } = response;
  const code = response.headers.get("X-Error-Code");
  const say = (what: string, remedy: string) => new Refused({ code: "network", what, where, remedy });
  await response.body?.cancel();
  if (code === "GatedRepo" || status === 403) {
    return say(
      "The owners of this model give it only to people who agreed to their terms.",
      withToken
        ? "Open the model's page on the Hub, agree to the terms, and try again with that account's token."
        : "Open the model's page on the Hub, agree to the terms, and give a token of that account.",
    );
  }
  if (code === "RevisionNotFound") {
    return say("The model has no such revision.", "Check the branch, tag or commit, or leave it out.");
  }
  // The Hub does not tell strangers which private models there are.
  if (status === 401 || status === 404) {
    return withToken
      ? say(
          "There is no such model on the Hub, or this token may not see it.",
          "Check the spelling, and that the token is valid and may read this model.",
        )
      : say(
          "There is no such model on the Hub, or it is private.",
          "Check the spelling; a private model needs a token.",
        );
  }
  if (status >= 500 || status === 408 || status === 429) return null;
  return say(`The Hub answers with status ${status}.`, "Check the name and the revision.");
}

const busy = ({ status }: Response, where: string) =>
  new Failure({
    code: "network",
    what:
      status === 429
        ? "The Hub asks for a pause: too many requests came from here."
        : `The Hub is out of order just now (status ${status}).`,
    where,
    remedy: "Try again in a few minutes.",
  });

/** A Failure that the library let through, or one that says that the answer makes no sense. */
function asFailure(error: unknown, where: string): Failure {
  if (error instanceof Failure) return error;
  return new Failure(
    {
      code: "network",
      what: "The server answers, but not as the Hub does.",
      where,
      remedy: "Check its address, and try again later.",
    },
    { cause: error },
  );
}
