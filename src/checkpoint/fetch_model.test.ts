// Models by name and address from a local stand-in of the Hub: what arrives, what is kept, how a download goes on after
// a cut, what leaves the machine, and the sentence for each way it can fail.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { FetchProgress } from "./download.ts";
import { fetchModel, type ModelRequest, readRequest } from "./fetch_model.ts";
import { fixture } from "./fixtures/load.ts";
import { COMPLETE, listModels, openKept } from "./model_store.ts";
import { nodeModelStore } from "./model_store_node.ts";
import { openCheckpoint } from "./open_checkpoint.ts";
import { readSafetensors } from "./safetensors.ts";
import { writeShards } from "./sharded.ts";
import { type HubServer, startHub } from "./testing/hub_server.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const vit: Record<string, Uint8Array> = {};
for (const { path, blob } of fixture("vit"))
  vit[path.split("/").at(-1) as string] = new Uint8Array(await blob.arrayBuffer());
const big = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) % 251);
const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

let hub: HubServer;
let folder: string;
beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "selora-hub-"));
  hub.models.clear();
  hub.plain.clear();
  hub.models.set("org/vit", {
    revisions: { main: COMMIT, "v1.0": "1".repeat(40) },
    files: { ...vit, ".gitattributes": text(0), "README.md": text(0), "training_args.bin": text(0) },
  });
  hub.models.set("org/big", { revisions: { main: COMMIT }, files: { "model.safetensors": big } });
  Object.assign(hub, { requests: [], cuts: [], statuses: [], lie: null, speed: 0 });
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Given extends Partial<ModelRequest> {
  signal?: AbortSignal;
  onProgress?: (progress: FetchProgress) => void;
  stall?: number;
}
const store = () => nodeModelStore(folder);
const get = (model: string, { signal, onProgress = () => {}, stall, ...request }: Given = {}) =>
  fetchModel({ model, hubUrl: hub.url, ...request }, store(), {
    signal: signal ?? new AbortController().signal,
    patience: 1,
    stall,
    onProgress,
  });
async function failure(model: string, given: Given = {}): Promise<Failure> {
  const error = await get(model, given).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).parts.remedy).not.toBe("");
  return error as Failure;
}
const bytesOf = async (blob: Blob | undefined) => new Uint8Array(await (blob as Blob).arrayBuffer());
const lines = () => hub.requests.map(({ line }) => line);

test("a model by name arrives as a folder that opens, and nothing but its files is asked for", async () => {
  const seen: FetchProgress[] = [];
  const { files, note } = await get("org/vit", { onProgress: (progress) => seen.push(progress) });
  expect(note).toBeNull();
  expect(files.map(({ path }) => path)).toEqual([
    "vit/config.json",
    "vit/preprocessor_config.json",
    "vit/model.safetensors",
  ]);
  expect(await openCheckpoint(files, {})).toMatchObject({ name: "vit", questions: [] });
  const total = files.reduce((sum, { blob }) => sum + blob.size, 0);
  expect(seen.at(-1)).toEqual({ file: "model.safetensors", done: total, total });
  for (const [i, { done }] of seen.entries()) expect(done).toBeGreaterThanOrEqual(seen[i - 1]?.done ?? 0);
  expect(lines()).toEqual([
    "GET /api/models/org/vit/revision/HEAD",
    `GET /api/models/org/vit/tree/${COMMIT}`,
    `GET /api/models/org/vit/tree/${COMMIT}`,
    ...["config.json", "preprocessor_config.json", "model.safetensors"].flatMap((file) => [
      `GET /org/vit/resolve/${COMMIT}/${file}`,
      `GET /cdn/org/vit/${file}`,
    ]),
  ]);
});

test("what is kept is not fetched again, is listed with its size, opens without a network, and can be removed", async () => {
  const first = await get("org/vit");
  hub.requests.length = 0;
  const again = await get("org/vit");
  expect(lines()).toEqual(["GET /api/models/org/vit/revision/HEAD"]);
  expect(again.files.map(({ path }) => path)).toEqual(first.files.map(({ path }) => path));

  const [kept] = await listModels(store());
  const bytes = first.files.reduce((sum, { blob }) => sum + blob.size, 0);
  expect(kept).toEqual({
    id: "org--vit@0123456789abcdef",
    source: "org/vit",
    revision: null,
    commit: COMMIT,
    bytes,
    complete: true,
    problem: null,
  });
  const offline = await get("org/vit", { hubUrl: "http://127.0.0.1:9" });
  expect(offline.note).toMatch(/cannot be reached\. This is the model as it was fetched before/);
  expect(offline.files).toHaveLength(3);
  await store().remove(kept!.id);
  expect(await listModels(store())).toEqual([]);
  expect((await failure("org/vit", { hubUrl: "http://127.0.0.1:9" })).parts.code).toBe("network");
});

test("a new commit is fetched anew; a revision is taken as it is", async () => {
  await get("org/vit");
  hub.models.get("org/vit")!.revisions.main = "2".repeat(40);
  await get("org/vit");
  await get("hf:org/vit@v1.0");
  await get("org/vit", { revision: "v1.0" });
  expect((await listModels(store())).map(({ commit, revision }) => [commit?.slice(0, 2), revision])).toEqual([
    ["11", "v1.0"],
    ["22", null],
    ["01", null],
  ]);
});

test("a download goes on where it was cut, again and again, and holds what it should", async () => {
  // Slow enough that what was sent is read before the cut: a stream that breaks loses what nobody has read.
  hub.speed = 2_000_000;
  hub.cuts = [200_000, 50_000, 3];
  const { files } = await get("org/big");
  expect(await bytesOf(files[0]?.blob)).toEqual(big);
  const ranges = hub.requests.filter(({ line }) => line.includes("/cdn/")).map(({ range }) => range);
  expect(ranges[0]).toBe("bytes=0-");
  expect(ranges).toHaveLength(4);
  expect(ranges.slice(1)).not.toContain("bytes=0-");
});

test("one that is cut for good is listed as begun, and the next try fetches only the rest", async () => {
  hub.speed = 2_000_000;
  hub.cuts = [200_000, 0, 0, 0, 0, 0, 0];
  const { message, parts } = await failure("org/big");
  expect(parts.code).toBe("network");
  expect(message).toMatch(/model\.safetensors: The connection to 127.* was cut again and again.*is kept/);
  const [begun] = await listModels(store());
  expect(begun).toMatchObject({ source: "org/big", complete: false });
  expect(begun?.bytes).toBeGreaterThan(0);
  hub.cuts = [];
  hub.requests.length = 0;
  expect(await bytesOf((await get("org/big")).files[0]?.blob)).toEqual(big);
  expect(hub.requests.at(-1)?.range).toBe(`bytes=${begun?.bytes}-`);
  expect(await listModels(store())).toMatchObject([{ complete: true, bytes: big.length }]);
});

test("a fetch can be cancelled in the middle, and goes on later", async () => {
  const abort = new AbortController();
  hub.speed = 400_000;
  const given = {
    signal: abort.signal,
    onProgress: ({ done }: FetchProgress) => done > 50_000 && abort.abort(),
  };
  expect((await failure("org/big", given)).parts).toMatchObject({ code: "cancelled", remedy: /kept/ });
  hub.speed = 0;
  expect(await bytesOf((await get("org/big")).files[0]?.blob)).toEqual(big);
  expect(hub.requests.at(-1)?.range).not.toBe("bytes=0-");
});

test("a connection that falls silent counts as cut", async () => {
  hub.speed = 20;
  const quick = setTimeout(() => {
    hub.speed = 0;
  }, 300);
  expect(await bytesOf((await get("org/big", { stall: 40 })).files[0]?.blob)).toEqual(big);
  clearTimeout(quick);
});

test("servers that are out of order for a moment are asked again", async () => {
  let bad = 2;
  const onProgress = () => {
    if (bad-- > 0) hub.statuses.push(503, 429);
  };
  expect((await get("org/vit", { onProgress })).files).toHaveLength(3);
  expect(hub.statuses).toEqual([]);
});

test("the token goes to the Hub alone, and is kept nowhere", async () => {
  hub.models.get("org/vit")!.token = "hf_secret";
  await get("org/vit", { token: " hf_secret " });
  for (const { line, token } of hub.requests)
    expect([line, token]).toEqual([line, line.includes("/cdn/") ? undefined : "hf_secret"]);
  const kept = store();
  for (const id of await kept.ids())
    for (const name of readdirSync(join(folder, id)))
      expect(await (await kept.blob(id, name))?.text()).not.toContain("hf_secret");
  hub.plain.set("/m/model.safetensors", vit["model.safetensors"]!);
  hub.requests.length = 0;
  await get(`${hub.url}/m/`, { token: "hf_secret", hubUrl: "https://hub.invalid" });
  expect(hub.requests.every(({ token }) => token === undefined)).toBe(true);
});

test.each<[what: string, names: string[], taken: string[]]>([
  [
    "shards in two precisions",
    [
      "model.safetensors.index.json",
      "model-00001-of-00001.safetensors",
      "model.fp16.safetensors.index.json",
      "model.fp16-00001-of-00001.safetensors",
    ],
    ["model.safetensors.index.json", "model-00001-of-00001.safetensors"],
  ],
  [
    "PyTorch's shards",
    ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "optimizer.bin"],
    ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin"],
  ],
  [
    "OpenCLIP in both formats",
    ["open_clip_model.safetensors", "open_clip_pytorch_model.bin", "open_clip_config.json"],
    ["open_clip_config.json", "open_clip_model.safetensors"],
  ],
  [
    "an adapter beside a whole model",
    ["adapter_config.json", "adapter_model.safetensors", "model.safetensors"],
    ["adapter_config.json", "model.safetensors"],
  ],
  [
    "a classifier and a tokenizer beside it",
    ["model.safetensors", "classifier.safetensors", "vocab.json", "merges.txt", "rng_state.pth"],
    ["vocab.json", "merges.txt", "classifier.safetensors", "model.safetensors"],
  ],
])("of a repository with %s, the files are those that a folder's would be", async (_, names, taken) => {
  hub.models.set("org/m", {
    revisions: { main: COMMIT },
    files: Object.fromEntries(names.map((name) => [name, text({})])),
  });
  const { files } = await get("org/m");
  expect(files.map(({ path }) => path.replace("m/", "")).sort()).toEqual(taken.toSorted());
});

test.each<[string, Partial<HubServer["models"] extends Map<string, infer M> ? M : never>, Given, RegExp]>([
  [
    "a private model",
    { token: "hf_a" },
    {},
    /org\/m: There is no such model on the Hub, or it is private\..*needs a token/,
  ],
  ["a private model with another's token", { token: "hf_a" }, { token: "hf_b" }, /this token may not see it/],
  [
    "a gated model",
    { token: "hf_a", gated: true },
    {},
    /agreed to their terms.*give a token of that account/,
  ],
  [
    "a gated model with another's token",
    { token: "hf_a", gated: true },
    { token: "hf_b" },
    /that account's token/,
  ],
  ["a token that is none", {}, { token: "secret" }, /begin with hf_/],
  ["no such revision", {}, { revision: "v9" }, /org\/m@v9: The model has no such revision/],
  [
    "no weights",
    { files: { "config.json": text({}), "tf_model.h5": big } },
    {},
    /no weights that can be read/,
  ],
  [
    "weights that could be either",
    { files: { "a.pth": big, "b.pth": big } },
    {},
    /which of its files are the weights: "a.pth", "b.pth"/,
  ],
  [
    "a LoRA adapter",
    {
      files: {
        "adapter_model.safetensors": big,
        "adapter_config.json": text({ base_model_name_or_path: "google/vit-base" }),
      },
    },
    {},
    /LoRA adapter for "google\/vit-base", not a whole model\. Fetch the base model/,
  ],
])("%s: a sentence", async (_, model, given, sentence) => {
  hub.models.set("org/m", { revisions: { main: COMMIT }, files: vit, ...model });
  expect((await failure("org/m", given)).message).toMatch(sentence);
});

test("no such model, no such server, and a server that is no Hub", async () => {
  expect((await failure("org/nothing")).message).toMatch(/no such model on the Hub, or it is private/);
  expect((await failure("org/vit", { hubUrl: "http://127.0.0.1:9" })).message).toMatch(
    /127\.0\.0\.1:9 cannot be reached/,
  );
  hub.statuses = [500];
  expect((await failure("org/vit")).message).toMatch(/out of order just now \(status 500\)/);
  hub.statuses = [429];
  expect((await failure("org/vit")).message).toMatch(/too many requests/);
  hub.models.get("org/vit")!.revisions.main = "../../etc";
  expect((await failure("org/vit")).message).toMatch(/not as the Hub does/);
});

test("servers that lie about sizes are found out, and nothing of it is kept as whole", async () => {
  hub.lie = (_, bytes) => ({ bytes: bytes.subarray(0, 1000) });
  expect((await failure("org/big")).message).toMatch(/server's file has 1000 bytes, but 300000 are listed/);
  hub.lie = (path, bytes) =>
    path.endsWith("safetensors") ? { bytes: new Uint8Array([...bytes, 1, 2, 3]) } : { bytes };
  expect((await failure("org/big")).message).toMatch(/300003 bytes, but 300000 are listed/);
  expect((await listModels(store())).every(({ complete }) => !complete)).toBe(true);
});

test("a kept model of which a part was cleared is fetched again", async () => {
  await get("org/vit");
  rmSync(join(folder, "org--vit@0123456789abcdef", "model.safetensors"));
  expect((await get("org/vit")).files).toHaveLength(3);
});

test("no room: said before the first byte", async () => {
  const full = { ...store(), room: async () => 1000 };
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  await expect(fetchModel({ model: "org/big", hubUrl: hub.url }, full, options)).rejects.toThrow(
    /needs 300000 more bytes, but there is room for 1000/,
  );
});

test("shards by name and by address", async () => {
  const { tensors } = await readSafetensors(new Blob([new Uint8Array(vit["model.safetensors"]!)]), "f");
  const spread = tensors.map((tensor, i) => ({
    ...tensor,
    file: `model-0000${1 + (i % 2)}-of-00002.safetensors`,
  }));
  const files: Record<string, Uint8Array> = { "config.json": vit["config.json"]! };
  for (const { path, blob } of writeShards(spread, { format: "pt" })) files[path] = await bytesOf(blob);
  hub.models.set("org/shards", { revisions: { main: COMMIT }, files });
  for (const [path, bytes] of Object.entries(files)) hub.plain.set(`/some/where/${path}`, bytes);
  const one = await get("org/shards");
  const other = await get(`${hub.url}/some/where`, { hubUrl: "https://hub.invalid" });
  for (const { files: found } of [one, other]) {
    expect(found).toHaveLength(4);
    expect((await openCheckpoint(found, {})).architecture.labels).toHaveLength(5);
  }
});

const elsewhere = { hubUrl: "https://hub.invalid" };

test("an address: a file with its configs, a folder, and what is not there", async () => {
  for (const [path, bytes] of Object.entries(vit)) hub.plain.set(`/m/${path}`, bytes);
  const file = await get(`${hub.url}/m/model.safetensors`, elsewhere);
  expect(file.files.map(({ path }) => path).sort()).toEqual([
    "model/config.json",
    "model/model.safetensors",
    "model/preprocessor_config.json",
  ]);
  await openCheckpoint(file.files, {});
  hub.requests.length = 0;
  await get(`${hub.url}/m/model.safetensors`, elsewhere);
  expect(lines()).toEqual([]);
  hub.plain.delete("/m/preprocessor_config.json");
  expect((await get(`${hub.url}/m/`, elsewhere)).files.map(({ path }) => path)).toEqual([
    "m/model.safetensors",
    "m/config.json",
  ]);
  expect((await failure(`${hub.url}/nothing/`, elsewhere)).message).toMatch(
    /There is no model here.*Check the address/,
  );
  expect((await failure(`${hub.url}/m/other.pth`, elsewhere)).message).toMatch(/There is no model here/);
  hub.plain.set("/site/model.safetensors", new TextEncoder().encode("<!doctype html>"));
  for (const name of ["model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"])
    hub.plain.set(`/site/${name}`, new TextEncoder().encode("<!doctype html>"));
  expect((await failure(`${hub.url}/site/`, elsewhere)).message).toMatch(/a web page here and no model/);
});

test("a file at an address that changed in the middle is fetched anew", async () => {
  hub.plain.set("/a/w.safetensors", big);
  hub.speed = 2_000_000;
  hub.cuts = [200_000, 0, 0, 0, 0, 0, 0];
  await failure(`${hub.url}/a/w.safetensors`, elsewhere);
  const changed = Uint8Array.from(big, (byte) => byte ^ 1);
  hub.plain.set("/a/w.safetensors", changed);
  hub.cuts = [];
  const { files } = await get(`${hub.url}/a/w.safetensors`, elsewhere);
  expect(await bytesOf(files[0]?.blob)).toEqual(changed);
});

test("the same file at an address is gone on with", async () => {
  hub.plain.set("/a/w.safetensors", big);
  hub.speed = 2_000_000;
  hub.cuts = [200_000, 0, 0, 0, 0, 0, 0];
  await failure(`${hub.url}/a/w.safetensors`, elsewhere);
  hub.cuts = [];
  hub.requests.length = 0;
  const { files } = await get(`${hub.url}/a/w.safetensors`, elsewhere);
  expect(await bytesOf(files[0]?.blob)).toEqual(big);
  expect(hub.requests[0]?.range).toMatch(/^bytes=[1-9]/);
});

test.each<[string, ReturnType<typeof readRequest> | null]>([
  ["org/name", { kind: "hub", name: "org/name", revision: null }],
  ["  hf:org/name@v1  ", { kind: "hub", name: "org/name", revision: "v1" }],
  ["gpt2", { kind: "hub", name: "gpt2", revision: null }],
  ["https://huggingface.co/org/name", { kind: "hub", name: "org/name", revision: null }],
  ["https://huggingface.co/org/name/tree/main", { kind: "hub", name: "org/name", revision: "main" }],
  ["https://hf.co/org/name/blob/abc/model.safetensors", { kind: "hub", name: "org/name", revision: "abc" }],
  ["https://example.org/m/", { kind: "address", url: new URL("https://example.org/m/") }],
  ["http://localhost:1/m", { kind: "address", url: new URL("http://localhost:1/m") }],
  ["http://example.org/m/", null],
  ["https://me:secret@example.org/m/", null],
  ["file:///etc/passwd", null],
  ["../../etc", null],
  ["org/name/more", null],
  ["org/na me", null],
  ["a@b@c", null],
  ["org/name@../x", null],
  ["", null],
])("what %j asks for", (model, wanted) => {
  if (wanted) expect(readRequest({ model })).toEqual(wanted);
  else expect(() => readRequest({ model })).toThrow(Failure);
});

test("a kept model damaged in any place is noticed, and only the damaged file is fetched anew", async () => {
  const { id, files } = await get("org/vit");
  const wanted = await Promise.all(files.map(({ blob }) => bytesOf(blob)));
  const paths = readdirSync(join(folder, id)).filter((path) => path !== "download.selora.json");
  expect(paths).toHaveLength(4);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.nat(), fc.nat(7), async (path, at, bit) => {
      const place = join(folder, id, path);
      const whole = readFileSync(place);
      const bytes = Uint8Array.from(whole);
      bytes[at % bytes.length]! ^= 1 << bit;
      writeFileSync(place, bytes);
      const kept = await openKept(store(), id);
      // What JSON does not tell apart (a blank for another) is no damage.
      if (kept) expect(await Promise.all(kept.map(({ blob }) => bytesOf(blob)))).toEqual(wanted);
      else if (path === COMPLETE)
        expect((await listModels(store()))[0]).toMatchObject({
          complete: false,
          problem: expect.stringMatching(/damaged|newer/),
        });
      writeFileSync(place, whole);
      if (path !== COMPLETE) expect(kept).toBeNull();
    }),
    { numRuns: 100 },
  );
  const weights = join(folder, id, "model.safetensors");
  const bytes = Uint8Array.from(readFileSync(weights));
  bytes[9]! ^= 1;
  writeFileSync(weights, bytes);
  hub.requests.length = 0;
  const again = await get("org/vit");
  expect(await Promise.all(again.files.map(({ blob }) => bytesOf(blob)))).toEqual(wanted);
  expect(lines().filter((line) => line.includes("/cdn/"))).toHaveLength(1);
  expect((await listModels(store()))[0]).toMatchObject({ complete: true, problem: null });
});

test("a record from before checksums is read; one of a newer Selora is left alone and named", async () => {
  const { id } = await get("org/big");
  const place = join(folder, id, COMPLETE);
  const { sum, ...record } = JSON.parse(readFileSync(place, "utf8"));
  expect(sum).toMatch(/^sha256:/);
  const files = record.files.map(({ sum: _, ...file }: { sum: string }) => file);
  writeFileSync(place, JSON.stringify({ ...record, files }));
  expect(await openKept(store(), id)).toHaveLength(1);
  const newer = JSON.stringify({ ...record, version: 2 });
  writeFileSync(place, newer);
  expect(await openKept(store(), id)).toBeNull();
  expect(await listModels(store())).toMatchObject([
    { complete: false, problem: "a newer Selora fetched it" },
  ]);
  expect((await failure("org/big")).parts.what).toContain("newer Selora");
  expect(readFileSync(place, "utf8")).toBe(newer);
});
