// A model by name or address, when the person asks for one. What is fetched is kept (model_store.ts): asked for again,
// a model of the same commit comes from there. Nothing is sent but the name, the revision and, to the Hub alone, the
// token, which is never kept.
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { fetchAddress } from "./address.ts";
import type { FetchOptions } from "./download.ts";
import { fetchFromHub } from "./hub.ts";
import { quoted } from "./json.ts";
import { type ModelStore, openKept } from "./model_store.ts";

export const HUB = "https://huggingface.co";

export interface ModelRequest {
  /** `org/name`, `hf:org/name@revision`, a page of the Hub, or the address of a file or folder. */
  model: string;
  /** Branch, tag or commit; stands above one in `model`. */
  revision?: string | undefined;
  /** For private and gated models on the Hub. */
  token?: string | undefined;
  /** Another server with the Hub's interface. */
  hubUrl?: string | undefined;
}

export interface FetchedModel {
  /** Of what is kept. */
  id: string;
  /** As if they had been dropped as one folder. */
  files: SourceFile[];
  /** What the person should know of where they come from; null when all is as asked. */
  note: string | null;
}

export type Wanted = { kind: "hub"; name: string; revision: string | null } | { kind: "address"; url: URL };

/**
 * Fetches a model's files, or takes them from `store`. A download goes on where it stopped.
 * @throws Failure: `bad-file` for a name that is none or a server that lies, `bad-model` for a repository without
 *   weights or a LoRA adapter, `network` for a server that does not answer, wants a token, or has no such model,
 *   `state` when there is no room, `cancelled`
 */
export async function fetchModel(
  request: ModelRequest,
  store: ModelStore,
  options: FetchOptions,
): Promise<FetchedModel> {
  const hubUrl = readHubUrl(request.hubUrl);
  const wanted = readRequest({ ...request, hubUrl });
  const found =
    wanted.kind === "hub"
      ? await fetchFromHub({ ...wanted, hubUrl, token: checkToken(request.token) }, store, options)
      : await fetchAddress(wanted.url, store, options);
  const { id, note } = found;
  const files = found.files ?? (await openKept(store, id));
  if (files) return { id, files, note };
  throw new Failure({
    code: "state",
    what: "The files that were fetched are gone again, or damaged.",
    remedy: "Free some disk space, and fetch the model again.",
  });
}

/** Reads what a person typed; a Failure says what may stand there. */
export function readRequest({ model, revision, hubUrl = HUB }: ModelRequest): Wanted {
  const text = model.trim();
  const asked = revision?.trim() || null;
  if (/^https?:\/\//i.test(text)) {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || !isSafe(url)) throw refusedAddress(text);
    const hub =
      url.origin === new URL(hubUrl).origin || /^(www\.)?(huggingface\.co|hf\.co)$/.test(url.hostname);
    if (!hub) return { kind: "address", url };
    const [org = "", name, view, at] = url.pathname.split("/").filter(Boolean);
    const page = view === "tree" || view === "blob" || view === "resolve" ? at : undefined;
    return onHub(name === undefined ? org : `${org}/${name}`, asked ?? page ?? null, text);
  }
  const [name = "", at, ...more] = text.replace(/^hf:/, "").split("@");
  if (more.length > 0) throw refusedName(text);
  return onHub(name, asked ?? at ?? null, text);
}

/** The Hub, or another server in its place, without a slash at the end. */
function readHubUrl(text: string | undefined): string {
  const address = text?.trim().replace(/\/+$/, "");
  if (!address) return HUB;
  if (URL.canParse(address) && isSafe(new URL(address))) return address;
  throw refusedAddress(address);
}

function onHub(name: string, revision: string | null, text: string): Wanted {
  const part = "[A-Za-z0-9](?:[\\w.-]{0,94}\\w)?";
  if (!new RegExp(`^(?:${part}/)?${part}$`).test(name) || /--|\.\./.test(name)) throw refusedName(text);
  if (revision !== null && (!/^\w[\w./-]{0,199}$/.test(revision) || revision.includes(".."))) {
    throw new Failure({
      code: "bad-file",
      what: `${quoted(revision)} is no revision.`,
      where: text.slice(0, 200),
      remedy: "Give a branch, a tag or a commit, or leave it out.",
    });
  }
  return { kind: "hub", name, revision };
}

/** Encrypted, or this very machine; and without a password in it, which would be kept with the address. */
const isSafe = (url: URL) =>
  (url.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)) &&
  url.username === "" &&
  url.password === "";

const refusedName = (text: string) =>
  new Failure({
    code: "bad-file",
    what: `${quoted(text)} is neither a name on the Hub nor an address.`,
    remedy: "Write it like facebook/dino-vits16, or paste the address of a model's file or folder.",
  });

const refusedAddress = (text: string) =>
  new Failure({
    code: "bad-file",
    what: `${quoted(text)} is no address that is read from.`,
    remedy: "Give one that begins with https:// and holds no password.",
  });

function checkToken(token: string | undefined): string | undefined {
  const text = token?.trim();
  if (!text) return undefined;
  if (/^hf_\w{1,200}$/.test(text)) return text;
  throw new Failure({
    code: "bad-file",
    what: "This is no access token of the Hub: those begin with hf_.",
    remedy: "Copy it again from the Hub's settings, or leave it out for a public model.",
  });
}
