// The terminal as a caller sees it: exit codes, what is on stdout and stderr, and the files it leaves.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { pictures } from "../session/testing.ts";
import { main } from "./main.ts";

const root = join(import.meta.dirname, "..", "..");
const fixture = (name: string) => join(root, "src", "checkpoint", "fixtures", name);
const folder = mkdtempSync(join(tmpdir(), "selora-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function onDisk(...args: Parameters<typeof pictures>): Promise<string> {
  for (const { path, blob } of await pictures(...args)) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), new Uint8Array(await blob.arrayBuffer()));
  }
  return join(folder, args[0]);
}

let target: string;
let sketches: string;
let known: string;
let cars: string;
beforeAll(async () => {
  target = await onDisk("pets", ["cat", "dog"], { train: 4, val: 1, test: 3 });
  sketches = await onDisk("sketches", ["cat", "dog"], 2);
  known = await onDisk("known", ["cat", "dog"], 2);
  cars = await onDisk("cars", ["lorry", "bus"], 1);
  writeFileSync(join(target, "train", "cat", "broken.png"), "not a picture");
});

/** Runs a command line in this process. */
async function selora(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const said = { stdout: "", stderr: "" };
  const catching = (stream: "stdout" | "stderr") =>
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      said[stream] += text;
      return true;
    });
  const spies = [catching("stdout"), catching("stderr")];
  try {
    return { code: await main(argv), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const quick = ["--backend", "wasm", "--rank", "2", "--epochs", "1", "--batch", "4", "--seed", "3"];
const lines = (text: string) => text.trimEnd().split("\n");
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

test("finetune leaves the merged model and its three records, and a table on stdout", async () => {
  const out = join(folder, "deep", "out");
  const { code, stdout, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out, ...quick],
    ...["--ood", `sketches=${sketches}`, "--retention", `known=${known}`],
  );
  expect(stderr).toContain("broken.png");
  expect(stderr).toContain("step 2/2");
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual([
    "config.json",
    "gates.json",
    "metrics.json",
    "model.safetensors",
    "preprocessor_config.json",
    "recipe.json",
  ]);
  expect(json(join(out, "config.json")).id2label).toEqual({ 0: "cat", 1: "dog" });
  expect(json(join(out, "recipe.json"))).toMatchObject({
    recipe: { rank: 2, epochs: 1, batch: 4, seed: 3, method: "selective" },
    device: { backend: "wasm" },
    model: "vit",
  });
  const gates = json(join(out, "gates.json"));
  expect(gates).toHaveLength(4);
  expect(gates[0]).toMatchObject({ layer: 0, column: "attention", matrices: ["q", "k", "v", "o"] });
  expect(typeof gates[0].score).toBe("number");
  const metrics = json(join(out, "metrics.json"));
  for (const when of ["before", "after"])
    expect(
      metrics[when].map(({ role, name, count }: Record<string, unknown>) => [role, name, count]),
    ).toEqual([
      ["target", "target", 6],
      ["ood", "sketches", 4],
      ["retention", "known", 4],
    ]);
  expect(metrics.open).toBe(gates.filter(({ open }: { open: boolean }) => open).length);
  expect(metrics.exported.accuracy).toBe(metrics.after[0].accuracy);
  expect(lines(stdout).map((line) => line.split(" ")[0])).toEqual(
    expect.arrayContaining(["set", "target", "sketches", "known"]),
  );

  // What was written is a model again.
  const again = await selora("inspect", "--model", out);
  expect(again.code).toBe(0);
  expect(again.stdout).toContain("2 labels");
});

test("with --json every line of both streams is one object", async () => {
  const { code, stdout, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", join(folder, "json"), ...quick],
    "--json",
  );
  expect(code).toBe(0);
  const events = lines(stderr).map((line) => JSON.parse(line));
  const kinds = new Set(events.map(({ kind }) => kind));
  for (const kind of ["status", "progress", "started", "gates", "step", "accuracy", "notice"])
    expect(kinds).toContain(kind);
  const { frame } = events.find(({ kind }) => kind === "gates");
  expect(frame.scores).toHaveLength(4);
  expect(lines(stdout)).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({ kind: "done", complete: true, steps: 2 });
});

test("inspect shows every tensor, from a folder or a file with its config beside it", async () => {
  const { code, stdout } = await selora("inspect", "--model", fixture("vit"));
  expect(code).toBe(0);
  expect(stdout).toContain("hf-vit, 2 layers, 24 wide, 3 heads, patch 4, image 16");
  const row = lines(stdout).find((line) => line.startsWith("vit.embeddings.cls_token"));
  expect(row?.split(/\s+/)).toEqual(["vit.embeddings.cls_token", "1x1x24", "F32", "cls_token"]);
  const file = await selora("inspect", "--json", "--model", join(fixture("vit"), "model.safetensors"));
  const report = JSON.parse(file.stdout);
  expect(report.architecture.labels).toHaveLength(5);
  expect(report.questions).toEqual([]);
});

test("inspect shows the tensors of a model that cannot be used, and why", async () => {
  const bad = join(folder, "bad");
  mkdirSync(bad);
  writeFileSync(join(bad, "model.safetensors"), readFileSync(join(fixture("vit"), "model.safetensors")));
  const config = json(join(fixture("vit"), "config.json"));
  writeFileSync(join(bad, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 3 }));
  const { code, stdout, stderr } = await selora("inspect", "--model", bad);
  expect(code).toBe(2);
  expect(stdout).toContain("vit.embeddings.cls_token");
  expect(stderr).toContain("3");
});

test("--help explains every setting", async () => {
  const { code, stdout } = await selora("--help");
  expect(code).toBe(0);
  for (const option of ["--score-learning-rate", "--target-modules", "--lambda", "--retention NAME=DIR"])
    expect(stdout).toContain(option);
  expect((await selora()).code).toBe(2);
});

const model = fixture("vit");
const out = join(folder, "never");
test.each<[string, string[], string]>([
  ["an unknown command", ["train"], 'There is no command "train".'],
  ["an unknown option", ["inspect", "--modl", "x"], "--modl"],
  ["a missing model", ["inspect"], "--model is missing"],
  ["a word too many", ["inspect", "x", "--model", model], "one word too many"],
  ["no such folder", ["inspect", "--model", "/no/such/folder"], "There is no such file or folder."],
  ["a setting out of bounds", ["--rank", "0"], "--rank"],
  ["a setting that is no number", ["--lambda", "much"], "--lambda"],
  ["an empty setting", ["--lambda", ""], "--lambda"],
  ["an unknown choice", ["--granularity", "head"], "--granularity"],
  ["an unknown backend", ["--backend", "cuda"], "--backend is auto, webgpu or wasm"],
  ["a set without a name", ["--ood", "folder"], "--ood takes NAME=DIR"],
  ["two sets of one name", ["--ood", "a=x", "--ood", "a=y"], "is given twice"],
])("%s ends with 2 and a sentence", async (_, given, sentence) => {
  const finetune = ["finetune", "--model", model, "--target", target, "--out", out];
  const { code, stderr } = await selora(...(given[0]?.startsWith("--") ? [...finetune, ...given] : given));
  expect(stderr).toContain(sentence);
  expect(code).toBe(2);
});

test("data that cannot be used ends with 2 before anything is trained", async () => {
  const run = ["finetune", "--model", model, "--out", out, ...quick];
  const alone = await selora(...run, "--target", join(target, "train", "cat"));
  expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining("class")]);
  const apart = await selora(...run, "--target", target, "--ood", `cars=${cars}`);
  expect(apart.code).toBe(2);
  expect(apart.stderr).toContain("cars: No image of this set counts as one of the target's classes");
  const blocked = await selora(...run, "--target", target, "--out", join(model, "config.json"));
  expect([blocked.code, blocked.stderr]).toEqual([2, expect.stringContaining("--out")]);
});

test("a run that the machine cannot do ends with 1", async () => {
  vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => null } });
  const run = [
    "finetune",
    "--model",
    model,
    "--target",
    target,
    "--out",
    out,
    ...quick,
    "--backend",
    "webgpu",
  ];
  const { code, stderr } = await selora(...run);
  vi.unstubAllGlobals();
  expect(stderr).toContain("offers no WebGPU adapter. Choose the WASM backend");
  expect(code).toBe(1);
});

test("a failure is an object too with --json", async () => {
  const { code, stdout, stderr } = await selora("inspect", "--json", "--model", "/no/such/folder");
  expect(code).toBe(2);
  expect(stdout).toBe("");
  expect(JSON.parse(stderr)).toMatchObject({ kind: "failure", failure: { code: "bad-file" } });
});

test("the program itself hands its exit code to the shell", () => {
  const bin = join(root, "bin", "selora.mjs");
  const good = spawnSync(process.execPath, [bin, "inspect", "--model", model], { encoding: "utf8" });
  expect([good.status, good.stderr]).toEqual([0, ""]);
  expect(good.stdout).toContain("vit.embeddings.cls_token");
});
