// The terminal as a caller sees it: exit codes, what is on stdout and stderr, and the files it leaves.
import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { readSavedRun } from "../session/saved_run_files.ts";
import { merged, pictures, startHub } from "../session/testing.ts";
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

type Said = { code: number; stdout: string; stderr: string };

/** Runs a command line in this process. */
const selora = (...argv: string[]): Promise<Said> => run(argv, null, () => {});
/** The same; once `sign` stands on stderr something happens. */
selora.during =
  (sign: string, happens: () => void) =>
  (...argv: string[]) =>
    run(argv, sign, happens);

async function run(argv: string[], sign: string | null, happens: () => void): Promise<Said> {
  const said = { stdout: "", stderr: "" };
  let due = sign;
  const catching = (stream: "stdout" | "stderr") =>
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      said[stream] += text;
      if (due !== null && said.stderr.includes(due)) {
        due = null;
        happens();
      }
      return true;
    });
  const spies = [catching("stdout"), catching("stderr")];
  try {
    return { code: await main(argv), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** The run that is kept in a folder. */
async function savedIn(out: string) {
  const file = (name: string) => new Blob([readFileSync(join(out, name))]);
  return readSavedRun(file("saved_run.json"), file("saved_run.state"));
}

const quick = ["--backend", "wasm", "--rank", "2", "--epochs", "1", "--batch", "4", "--seed", "3"];
const lines = (text: string) => text.trimEnd().split("\n");
const json = (path: string) => JSON.parse(readFileSync(path, "utf8"));

test("finetune leaves the merged model and its three records, and a table on stdout", async () => {
  const out = join(folder, "deep", "out");
  const { code, stdout, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out, ...quick],
    ...["--ood", `sketches=${sketches}`, "--retention", `known=${known}`, "--budget", "2", "--trade-off"],
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
    "report.html",
    "report.json",
    "selora.json",
    "tradeoff.json",
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
  for (const { balanced, calibration, change, detection, role } of metrics.after) {
    expect(balanced).toBeLessThanOrEqual(1);
    expect(calibration.bins).toHaveLength(15);
    expect(change.stayedRight + change.fixed + change.broken + change.stayedWrong).toBeGreaterThan(0);
    expect(detection === null).toBe(role === "target");
  }
  const curve = json(join(out, "tradeoff.json"));
  expect(curve.points.map(({ open }: { open: number }) => open)).toEqual([0, 1, 2]);
  expect(curve.points[2].gates).toEqual(
    gates.flatMap(({ open, id }: Record<string, unknown>) => (open ? [id] : [])),
  );
  expect(curve.sets.map(({ name, count }: Record<string, unknown>) => [name, count])).toEqual([
    ["target", 2],
    ["sketches", 4],
    ["known", 4],
  ]);
  expect(curve.robustness.map(({ name }: { name: string }) => name)).toEqual(["sketches"]);
  expect(stdout).toMatch(/^[012], knee /m);
  expect(metrics.open).toBe(gates.filter(({ open }: { open: boolean }) => open).length);
  expect(metrics.exported.accuracy).toBe(metrics.after[0].accuracy);
  expect(lines(stdout).map((line) => line.split(" ")[0])).toEqual(
    expect.arrayContaining(["set", "target", "sketches", "known"]),
  );

  const report = json(join(out, "report.json"));
  expect(report.sets.map(({ name }: { name: string }) => name)).toEqual(["target", "sketches", "known"]);
  expect(report.tradeOff).toEqual({
    // The report says on which images, too.
    sets: curve.sets.map((set: Record<string, unknown>) => ({
      ...set,
      on: set.role === "target" ? "2 validation images" : "4 images",
    })),
    points: curve.points.map(({ open, accuracies }: Record<string, unknown>) => ({ open, accuracies })),
    knee: curve.knee,
  });
  const [before, after] = [metrics.before, metrics.after].map((sets) => sets[1].detection);
  expect(report.sets[1].detection).toEqual({
    count: 4,
    confidence: [before.confidence, after.confidence],
    energy: [before.energy, after.energy],
  });
  // How many steps are told of is a matter of time; the last one always is.
  expect(report.curves.loss.at(-1)[0]).toBe(2);
  const html = readFileSync(join(out, "report.html"), "utf8");
  expect(html).toContain("<!doctype html>");
  expect(html).not.toMatch(/https?:|<script|<link/);

  // What was written is a model again.
  const again = await selora("inspect", "--model", out);
  expect(again.code).toBe(0);
  expect(again.stdout).toContain("2 labels");
});

test("--seeds runs each seed into its own folder, with mean and spread", async () => {
  const out = join(folder, "seeds");
  const { code, stdout, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out, ...quick, "--seeds", "2"],
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining("Run 2 of 2: run, seed 4, about")]);
  expect(readdirSync(out).sort()).toEqual(["seed-3", "seed-4", "selora.json", "summary.json"]);
  for (const seed of [3, 4]) {
    expect(json(join(out, `seed-${seed}`, "recipe.json")).recipe.seed).toBe(seed);
    expect(readdirSync(join(out, `seed-${seed}`))).toContain("model.safetensors");
  }
  const { summaries, failed } = json(join(out, "summary.json"));
  const accuracies = [3, 4].map(
    (seed) => json(join(out, `seed-${seed}`, "metrics.json")).after[0].accuracy as number,
  );
  expect(failed).toBe(0);
  expect(summaries).toHaveLength(1);
  expect(summaries[0].sets[0].after.mean).toBeCloseTo((accuracies[0]! + accuracies[1]!) / 2, 12);
  expect(summaries[0].sets[0].after.deviation).toBeCloseTo(
    Math.abs(accuracies[0]! - accuracies[1]!) / Math.SQRT2,
    12,
  );
  expect(stdout).toMatch(/^run {2,}2 .*±/m);
});

test("suite runs the line-up; what fails is told and does not stop the others", async () => {
  const out = join(folder, "suite");
  const { code, stdout, stderr } = await selora(
    ...["suite", "--model", fixture("vit"), "--target", target, "--out", out, ...quick, "--json"],
  );
  expect(code).toBe(0);
  const { runs, asked, summaries } = JSON.parse(stdout);
  expect(runs).toHaveLength(asked);
  expect(summaries.map(({ name }: { name: string }) => name)).toEqual(
    expect.arrayContaining(["LoRA on all", "Selective LoRA, 5%", "TAPS"]),
  );
  expect(stderr).toContain('"text":"Run 1 of');
  const metrics = json(join(out, "selective-lora-5", "metrics.json"));
  expect(metrics.open).toBe(1);
  expect(metrics.path.map(({ strength }: { strength: number }) => strength)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  expect(readdirSync(join(out, "lora-on-all"))).not.toContain("model.safetensors");

  // A file that comes to stand where the folder of one run would be, and no other place to go to.
  const blocked = join(folder, "blocked");
  vi.stubEnv("TMPDIR", join(folder, "none"));
  const failing = await selora.during("Run 2 of", () => writeFileSync(join(blocked, "lora-on-all"), ""))(
    ...["suite", "--model", fixture("vit"), "--target", target, "--out", blocked, ...quick],
  );
  vi.unstubAllEnvs();
  expect([failing.code, failing.stderr]).toEqual([1, expect.stringContaining(`1 of ${asked} runs failed.`)]);
  const outcome = json(join(blocked, "summary.json"));
  expect(outcome.failed).toBe(1);
  expect(outcome.runs.filter(({ complete }: { complete: boolean }) => complete)).toHaveLength(asked - 1);
  expect(failing.stdout).not.toContain("LoRA on all");
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

test("--corruptions adds a set that is the mean of its parts", async () => {
  const out = join(folder, "corrupted");
  const { code, stdout } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out, ...quick],
    ...["--corruptions", "jpeg,weather", "--severity", "2"],
  );
  expect(code).toBe(0);
  expect(
    lines(stdout)
      .slice(2, 9)
      .map((line) => line.split(/ {2,}/).slice(0, 3).join("|")),
  ).toEqual([
    "target|6|linear",
    "Corruptions of the target, mean|30|linear",
    "|JPEG|6",
    "|Snow|6",
    "|Frost|6",
    "|Fog|6",
    "|Glare|6",
  ]);
  const [, corrupted] = json(join(out, "metrics.json")).after;
  expect(corrupted.parts.map(({ count }: { count: number }) => count)).toEqual([6, 6, 6, 6, 6]);
});

test("evaluate scores a model on a folder, by each head that it has", async () => {
  const ask = ["evaluate", "--model", fixture("vit"), "--backend", "wasm"];
  // Cat and dog are two of the model's labels, lorry is none.
  const some = await onDisk("some", ["cat", "dog", "lorry"], 3);
  const own = await selora(...ask, "--data", some);
  expect([own.code, own.stderr]).toEqual([0, expect.stringContaining("left out")]);
  expect(own.stdout).toMatch(/^cat {2,}3 /m);
  expect(own.stdout).not.toContain("lorry");
  expect(own.stdout).toMatch(
    /vit on some, own: \d of 6 right, .*95 % interval .*balanced .*ECE \d\.\d{3} in 15/,
  );
  expect(own.stderr).toContain('A class can be mapped with --map "some:lorry=LABEL".');
  const mapped = await selora(...ask, "--data", some, "--map", "some:lorry=dog", "--map", "some:cat=");
  expect(mapped.stdout).toMatch(/^dog {2,}6 /m);
  expect(mapped.stdout).not.toMatch(/^cat/m);
  const wrong = await selora(...ask, "--data", some, "--map", "some:lorry=truck");
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringContaining('"lorry" cannot be counted as "truck"'),
  ]);
  const unused = await selora(...ask, "--data", target, "--head", "knn", "--map", "pets:cat=dog");
  expect([unused.code, unused.stderr]).toEqual([2, expect.stringContaining("they need --head own")]);
  for (const [head, count] of [
    ["probe", 6],
    ["knn", 6],
  ] as const) {
    const { code, stdout } = await selora(...ask, "--data", target, "--head", head, "--json");
    expect(code).toBe(0);
    expect(lines(stdout)).toHaveLength(1);
    const said = JSON.parse(stdout);
    expect(said).toMatchObject({ kind: "done", model: "vit", data: "pets", head, count });
    expect(said.accuracy).toBe(said.correct / count);
    expect(said.perClass.map(({ name }: { name: string }) => name)).toEqual(["cat", "dog"]);
    expect(said.calibration.bins).toHaveLength(15);
  }
});

test.each<[string, string[], string]>([
  ["no data", [], "--data is missing"],
  [
    "a head of another kind",
    ["--data", ".", "--head", "linear"],
    "--head is own, probe, knn or zero-shot here",
  ],
  [
    "a folder that fits no label",
    ["--data", "CARS"],
    "No class of this folder is one of the model's own labels",
  ],
  ["no text tower", ["--data", "KNOWN", "--head", "zero-shot"], "no text tower"],
  ["one class to probe", ["--data", "ONE", "--head", "probe"], "class"],
])("evaluate with %s ends with 2 and a sentence", async (_, given, sentence) => {
  const folders: Record<string, string> = { CARS: cars, KNOWN: known, ONE: join(target, "train", "cat") };
  const words = given.map((word) => folders[word] ?? word);
  const { code, stderr } = await selora("evaluate", "--model", fixture("vit"), ...words);
  expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)]);
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

test("of several models in a folder --weights chooses one; without it each is named", async () => {
  const states = join(folder, "states");
  for (const [name, from] of [
    ["checkpoint-9", "vit"],
    ["checkpoint-10", "families/hf-msn"],
  ] as const)
    cpSync(fixture(from), join(states, name), { recursive: true });
  const asked = await selora("inspect", "--model", states);
  expect([asked.code, asked.stdout]).toEqual([2, ""]);
  expect(asked.stderr).toMatch(
    /Which model is meant\? There are 2: "states\/checkpoint-9\/model.safetensors"/,
  );
  expect(asked.stderr).toContain("--weights");
  for (const [name, family] of [
    ["checkpoint-9", "hf-vit"],
    ["checkpoint-10", "hf-msn"],
  ] as const) {
    const chosen = `states/${name}/model.safetensors`;
    const { code, stdout } = await selora("inspect", "--json", "--model", states, "--weights", chosen);
    expect(code).toBe(0);
    const { architecture, notes } = JSON.parse(stdout);
    expect([architecture.family, notes[0]]).toEqual([family, `The weights are those of "${chosen}".`]);
  }
  const none = await selora("inspect", "--model", states, "--weights", "checkpoint-11");
  expect([none.code, none.stderr]).toEqual([
    2,
    expect.stringMatching(/no weights called "checkpoint-11".*Choose one of.*checkpoint-9/),
  ]);
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

test("a model by name is fetched, kept, and said to be as it was when the Hub is gone", async () => {
  const hub = await startHub();
  const files = Object.fromEntries(
    readdirSync(fixture("vit")).map((name) => [name, readFileSync(join(fixture("vit"), name))]),
  );
  hub.models.set("org/vit", { revisions: { main: "a".repeat(40), old: "b".repeat(40) }, files });
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("XDG_CACHE_HOME", join(folder, "cache"));
  const named = await selora("inspect", "--model", "hf:org/vit@old");
  expect([named.code, named.stderr]).toEqual([
    0,
    expect.stringContaining("Fetching model.safetensors, bytes"),
  ]);
  expect(named.stdout).toContain("vit.embeddings.cls_token");
  expect(readdirSync(join(folder, "cache", "selora", "models"))).toEqual([`org--vit@${"b".repeat(16)}`]);
  const none = await selora("inspect", "--model", "hf:org/none");
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("no such model on the Hub")]);
  await hub.close();
  const again = await selora("inspect", "--model", "hf:org/vit@old");
  expect([again.code, again.stderr]).toEqual([0, expect.stringContaining("as it was fetched before")]);
  const misspelt = await selora("inspect", "--model", "hf:org/vit/more");
  expect([misspelt.code, misspelt.stderr]).toEqual([2, expect.stringContaining("neither a name on the Hub")]);
  vi.unstubAllEnvs();
});

test("a PyTorch file is a model too, and one that would run something is refused", async () => {
  const torch = join(root, "src", "checkpoint", "fixtures_torch");
  const bin = await selora("inspect", "--model", join(torch, "vit.bin"));
  expect([bin.code, bin.stdout]).toEqual([0, expect.stringContaining("vit.embeddings.cls_token")]);
  const evil = await selora("inspect", "--model", join(torch, "os_system.pth"));
  expect([evil.code, evil.stderr]).toEqual([2, expect.stringContaining('"posix.system"')]);
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
  ["no seeds", ["--seeds", "0"], "--seeds is a number from 1 to 100"],
  ["a set without a name", ["--ood", "folder"], "--ood takes NAME=DIR"],
  ["an unknown corruption", ["--corruptions", "sleet"], "(gaussian-noise, shot-noise"],
  ["a severity there is none of", ["--corruptions", "all", "--severity", "6"], "--severity is 1 to 5"],
  ["a severity of nothing", ["--severity", "3"], "--corruptions, which is missing"],
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

test("with --json every line of stderr is an object, whatever the machine lacks", () => {
  const bin = join(root, "bin", "selora.mjs");
  const { LD_LIBRARY_PATH: _, VK_ICD_FILENAMES: __, ...env } = process.env;
  const run = [
    "finetune",
    "--json",
    "--model",
    model,
    "--target",
    join(target, "train", "cat"),
    "--out",
    out,
  ];
  const { status, stderr } = spawnSync(process.execPath, [bin, ...run], { encoding: "utf8", env });
  const kinds = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).kind);
  expect(kinds).toContain("notice");
  expect(kinds.at(-1)).toBe("failure");
  expect(status).toBe(2);
});

test("the program itself hands its exit code to the shell", () => {
  const bin = join(root, "bin", "selora.mjs");
  const good = spawnSync(process.execPath, [bin, "inspect", "--model", model], { encoding: "utf8" });
  expect([good.status, good.stderr]).toEqual([0, ""]);
  expect(good.stdout).toContain("vit.embeddings.cls_token");
});

test("a reader that leaves ends nothing, and a full device is told in a sentence", () => {
  const program = `"${process.execPath}" "${join(root, "bin", "selora.mjs")}" inspect --model "${model}"`;
  const shell = (line: string) => spawnSync("bash", ["-c", line], { encoding: "utf8" });
  const gone = shell(`${program} | true; exit \${PIPESTATUS[0]}`);
  expect([gone.status, gone.stderr]).toEqual([0, ""]);
  const full = shell(`${program} >/dev/full`);
  expect([full.status, full.stderr]).toEqual([
    1,
    expect.stringMatching(/^What was to be printed could not be: .*\n$/),
  ]);
  expect(shell(`${program} >/dev/full 2>/dev/full`).status).toBe(1);
});

test("a slow reader gets all of a long table", () => {
  const many = join(folder, "many");
  mkdirSync(many);
  const tensors = Array.from({ length: 3000 }, (_, i) => [
    `a.rather.long.name.of.a.tensor.${i}`,
    { dtype: "F32", shape: [1], data_offsets: [4 * i, 4 * i + 4] },
  ]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(tensors)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(join(many, "model.safetensors"), Buffer.concat([size, header, Buffer.alloc(12000)]));
  const program = `"${process.execPath}" "${join(root, "bin", "selora.mjs")}" inspect --model "${many}"`;
  const { stdout } = spawnSync("sh", ["-c", `${program} | (sleep 5; cat)`], { encoding: "utf8" });
  expect(lines(stdout).filter((line) => line.startsWith("a.rather.long.name"))).toHaveLength(3000);
});

test("Ctrl-C while the model is merged and written lets that end", async () => {
  const out = join(folder, "late-stop");
  let pressed = false;
  const merging = vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    if (!pressed && String(text).includes('"status":"exporting"'))
      queueMicrotask(() => process.emit("SIGINT"));
    pressed ||= String(text).includes('"status":"exporting"');
    return true;
  });
  const code = await main([
    ...["finetune", "--json", "--model", fixture("vit"), "--target", target, "--out", out],
    ...quick,
  ]).finally(() => merging.mockRestore());
  expect(code).toBe(0);
  expect(json(join(out, "metrics.json")).complete).toBe(true);
  expect(readdirSync(out)).toContain("model.safetensors");
});

test.each([
  ["SIGINT", "Ctrl-C", 130],
  ["SIGTERM", "SIGTERM", 143],
] as const)(
  "the program ends a run after its step when it is sent %s once, and keeps what was learned",
  async (signal, by, code) => {
    const out = join(folder, `stopped-${signal}`);
    const child = spawn(
      process.execPath,
      [
        ...[
          join(root, "bin", "selora.mjs"),
          "finetune",
          "--json",
          "--model",
          fixture("vit"),
          "--target",
          target,
        ],
        ...["--out", out, ...quick.map((value, i) => (quick[i - 1] === "--epochs" ? "1000" : value))],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let said = "";
    child.stdout.on("data", (text) => {
      said += text;
    });
    let told = "";
    child.stderr.on("data", (text) => {
      if (!told.includes('{"kind":"step"') && `${told}${text}`.includes('{"kind":"step"')) child.kill(signal);
      told += text;
    });
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(code);
    const { complete, steps } = json(join(out, "metrics.json"));
    expect(complete).toBe(false);
    expect(steps).toBeLessThan(2000);
    expect(readdirSync(out)).toContain("model.safetensors");
    expect(JSON.parse(said).stopped).toEqual({ by, step: steps, steps: 2000 });
    // It is kept as it stood then, to be gone on with.
    expect(await savedIn(out)).toMatchObject({ step: steps, steps: 2000, result: null });
  },
);

test("a curve that cannot be written loses nothing of the run, and goes elsewhere", async () => {
  const out = join(folder, "no-curve");
  vi.stubEnv("TMPDIR", folder);
  const { code, stderr } = await selora.during("Opening blocks one by one", () =>
    mkdirSync(join(out, "tradeoff.json")),
  )(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out],
    ...[...quick, "--trade-off"],
  );
  vi.unstubAllEnvs();
  expect(stderr).toContain('"tradeoff.json" is in the way');
  expect(code).toBe(1);
  expect(json(join(out, "metrics.json")).complete).toBe(true);
  expect(json(join(out, "report.json")).tradeOff).toBeNull();
  const elsewhere = /They are in (\S+)\.$/m.exec(stderr)?.[1] as string;
  expect(json(join(elsewhere, "tradeoff.json")).points).toHaveLength(5);
});

test("what becomes of the model's files while it is trained does not matter", async () => {
  const [mine, out] = [join(folder, "my-vit"), join(folder, "from-mine")];
  cpSync(fixture("vit"), mine, { recursive: true });
  const { code, stderr } = await selora.during("step 1/2", () => rmSync(mine, { recursive: true }))(
    ...["finetune", "--model", mine, "--target", target, "--out", out, ...quick, "--method", "linear"],
  );
  expect([code, stderr]).toEqual([0, expect.stringContaining("Scoring the file 6/6")]);
  expect((await selora("inspect", "--model", out)).stdout).toContain("2 labels");
});

test("what is read is never written over, and a folder of others is refused before anything is loaded", async () => {
  const mine = join(folder, "precious");
  cpSync(fixture("vit"), mine, { recursive: true });
  symlinkSync(mine, join(folder, "precious-link"));
  const before = readFileSync(join(mine, "model.safetensors"));
  const run = ["finetune", "--model", mine, "--target", target, ...quick, "--overwrite"];
  for (const out of [
    mine,
    join(folder, "precious-link"),
    join(mine, "out"),
    folder,
    join(target, "train", "..", "x"),
  ]) {
    const { code, stdout, stderr } = await selora(...run, "--out", out);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("results are never written there");
  }
  expect(readFileSync(join(mine, "model.safetensors")).equals(before)).toBe(true);
  const others = await selora(...run.slice(0, -1), "--out", sketches);
  expect([others.code, others.stderr]).toEqual([2, expect.stringContaining("--overwrite")]);
  expect(others.stderr).not.toContain("Computing on");
});

test("where no model can be written, what was learned is kept, and the sentence says where", async () => {
  const out = join(folder, "learned");
  const merging = vi
    .spyOn(merged, "writeMerged")
    .mockRejectedValue(
      new Failure({ code: "bad-file", what: "The model's file is gone.", remedy: "Put it back." }),
    );
  const { code, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", target, "--out", out, ...quick],
  ).finally(() => merging.mockRestore());
  expect(code).toBe(1);
  expect(stderr).toContain(
    "The merged model could not be written: The model's file is gone. What was learned is kept in",
  );
  const { result, step } = await savedIn(out);
  expect([step, result?.complete]).toEqual([2, true]);
});

test("images to stay the same on need no classes, and a weight", async () => {
  const args = [
    "finetune",
    "--model",
    fixture("vit"),
    "--target",
    target,
    "--out",
    join(folder, "kept"),
    ...quick,
  ];
  const refused = await selora(...args, "--keep-data", cars);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("--keep-data needs --keep");
  const idle = await selora(...args, "--keep", "2", "--keep-data", cars, "--method", "linear");
  expect(idle.code).toBe(2);
  const { code, stderr } = await selora(
    ...args,
    "--keep",
    "2",
    "--keep-data",
    cars,
    "--method",
    "taps",
    "--budget",
    "1",
  );
  expect(code).toBe(0);
  expect(stderr).toMatch(/keep 0\.\d{4}/);
  expect(
    json(join(folder, "kept", "gates.json")).filter((gate: { open: boolean }) => gate.open),
  ).toHaveLength(1);
});

test.each(["full", "lp-ft", "linear", "dora", "l0"])(
  "%s ends with a merged model that is read back",
  async (method) => {
    const out = join(folder, method);
    const { code, stderr } = await selora(
      ...[
        "finetune",
        "--model",
        fixture("vit"),
        "--target",
        target,
        "--out",
        out,
        ...quick,
        "--method",
        method,
      ],
    );
    expect(code).toBe(0);
    const { exported, open, gates, after } = json(join(out, "metrics.json"));
    expect(exported.accuracy).toBe(after[0].accuracy);
    // The head's two, and of full fine-tuning every tensor that the file holds beside its own classifier's.
    if (method === "linear") expect(exported.changed).toBe(2);
    if (method === "full") expect(exported.changed).toBe(exported.total);
    if (method !== "l0" && method !== "dora") expect(open).toBe(method === "linear" ? 0 : gates);
    expect(stderr.includes("--rank does nothing")).toBe(["full", "lp-ft", "linear"].includes(method));
  },
);

test("inspect --data says how a folder is read, and what could be answered where that is in doubt", async () => {
  const plain = await selora("inspect", "--data", target);
  expect(plain.code).toBe(0);
  expect(plain.stdout).toContain("Read as splits: 2 classes (cat, dog) in split folders: test to test");
  expect(plain.stdout).toMatch(/cat +5 +1 +3/);
  const read = JSON.parse((await selora("inspect", "--data", target, "--json")).stdout);
  expect(read).toMatchObject({ count: 17, reading: { taken: { layout: "splits" }, domain: null } });

  await onDisk("styles/photo", ["cat", "dog"], 3);
  await onDisk("styles/line art", ["cat", "dog"], 3);
  const styles = join(folder, "styles");
  const doubt = await selora("inspect", "--data", styles);
  expect(doubt.code).toBe(2);
  expect(lines(doubt.stderr)).toEqual([
    expect.stringContaining("they are domains, or classes of the same parts"),
    expect.stringMatching(/^ {2}--domain 'line art' +2 classes \(cat, dog\) in 2 domains .* \(or photo\)$/),
    expect.stringMatching(/^ {2}--layout classes +2 classes \(line art, photo\), a folder each$/),
    expect.stringMatching(/^ {2}--layout leaves +2 classes \(cat, dog\), the innermost folders$/),
  ]);
  expect((await selora("inspect", "--data", styles, "--domain", "photo")).stdout).toContain(": photo.");
  const wrong = await selora("inspect", "--data", styles, "--domain", "oil");
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("There is line art, photo.")]);
});

test("finetune takes one domain as its target and the others as OOD sets", async () => {
  await onDisk("styles/photo", ["cat", "dog"], 3);
  await onDisk("styles/line art", ["cat", "dog"], 3);
  const out = join(folder, "domains");
  const { code, stderr } = await selora(
    ...["finetune", "--model", fixture("vit"), "--target", join(folder, "styles"), "--out", out, ...quick],
    ...["--domain", "photo", "--ood-domains", "--method", "linear"],
  );
  expect(stderr).toContain("line art: 2 classes (cat, dog) in 2 domains");
  expect(code).toBe(0);
  const { after } = json(join(out, "metrics.json"));
  expect(after.map(({ role, name }: { role: string; name: string }) => [role, name])).toEqual([
    ["target", "target"],
    ["ood", "line art"],
  ]);
  const unknown = ["finetune", "--model", fixture("vit"), "--target", target, "--out", out];
  expect((await selora(...unknown, "--layout", "x=leaves")).stderr).toContain('there is no set "x"');
});
