// A run in the terminal is killed at a random moment: the folder for results holds the earlier set or a new one, whole, and
// what is kept of the run goes on to the very bytes of the run that nobody disturbed. One kill a backend here, many in
// `npm run test:soak`; every single moment of writing is walked through in out_folder.test.ts.
import { spawn } from "node:child_process";
import { once as event } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { random, seedFor } from "../random.ts";
import { createNodeSession, walk } from "../session/node.ts";
import { readSavedRun, savedRunNames } from "../session/saved_run_files.ts";
import { pictures, provideSoftwareGpu } from "../session/testing.ts";
import { filesOnDisk } from "./model_files.ts";
import { decidedFiles, openOut } from "./out_folder.ts";

const kills = Number(process.env.SELORA_KILLS ?? 1);
const seed = Number(process.env.SELORA_SEED ?? Date.now() % 1_000_000);
const root = join(import.meta.dirname, "..", "..");
const model = join(root, "src", "checkpoint", "fixtures", "vit");
const folder = realpathSync(mkdtempSync(join(tmpdir(), "selora-kills-")));
afterAll(() => rmSync(folder, { recursive: true }));
const target = join(folder, "pets");
/** The results of an earlier run. */
const older = join(folder, "older");

beforeAll(async () => {
  provideSoftwareGpu();
  for (const { path, blob } of await pictures("pets", ["cat", "dog"], { train: 6, val: 1, test: 3 })) {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), new Uint8Array(await blob.arrayBuffer()));
  }
  expect(await start(older, "wasm", ["--epochs", "1"]).ended).toEqual([0, null]);
});

type Backend = "wasm" | "webgpu";
/** So many that a run takes some seconds, most of them steps. */
const epochs: Record<Backend, number> = { wasm: 200, webgpu: 12 };

/** Where a program finds the software GPU's loader: beside its driver. */
const libraries = () =>
  [dirname(process.env.VK_ICD_FILENAMES ?? ""), process.env.LD_LIBRARY_PATH].filter(Boolean).join(":");

/** Starts a run into `out`; `said` grows with what it tells. */
function start(out: string, backend: Backend, own: readonly string[] = []) {
  const options = ["--backend", backend, "--rank", "2", "--batch", "4", "--seed", "3"];
  const child = spawn(
    process.execPath,
    [
      join(root, "bin", "selora.mjs"),
      ...["finetune", "--model", model, "--target", target, "--out", out, ...options],
      ...["--epochs", String(epochs[backend]), ...own],
    ],
    {
      stdio: ["ignore", "ignore", "pipe"],
      // The loader reads its path when a program starts.
      env: { ...process.env, LD_LIBRARY_PATH: libraries() },
    },
  );
  let hear = () => {};
  const run = {
    child,
    said: "",
    ended: event(child, "close"),
    /** Resolves when it has come to a share of its steps. */
    came: (share: number) =>
      new Promise<void>((resolve) => {
        hear = () => {
          const [, step, steps] = /.*step (\d+)\/(\d+)/s.exec(run.said) ?? [];
          if (Number(step) >= share * Number(steps)) resolve();
        };
      }),
  };
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    run.said += text;
    hear();
  });
  return run;
}

/** The set of files in a folder, as whoever reads models sees it; their list, which is moved last, is not one of them. */
async function contents(path: string): Promise<Record<string, Buffer>> {
  const plain = readdirSync(path).filter((name) => !name.startsWith(".") && name !== "selora.json");
  const decided = await decidedFiles(path);
  const files = new Map(decided ?? plain.map((name) => [name, join(path, name)]));
  return Object.fromEntries([...files].map(([name, place]) => [name, readFileSync(place)]));
}

test.each<Backend>(["wasm", "webgpu"])(
  `killed on %s, ${kills} times: the earlier set or a whole new one, and the same bits in the end`,
  { timeout: 120_000 + kills * 120_000 },
  async (backend) => {
    const whole = join(folder, `whole-${backend}`);
    const began = performance.now();
    expect(await start(whole, backend).ended).toEqual([0, null]);
    const length = performance.now() - began;
    const before = await contents(older);
    const after = await contents(whole);
    const stream = random(seedFor(seed, backend));
    const seen = { earlier: 0, kept: 0, early: 0, done: 0 };

    for (let kill = 0; kill < kills; kill++) {
      const out = join(folder, `${backend}-${kill}`);
      cpSync(older, out, { recursive: true });
      const run = start(out, backend);
      // One in five at any moment, loading and writing included; the others as an impatient system does it: asked to end
      // at some step, and killed a moment later, while it keeps, measures, merges and writes.
      const asked = kill % 5 !== 1;
      const moment = asked ? run.came(stream.next() * 1.1) : sleep(length * stream.next());
      await Promise.race([run.ended, moment]);
      if (asked) run.child.kill("SIGTERM");
      await Promise.race([run.ended, sleep(asked ? 0.3 * length * stream.next() ** 2 : 0)]);
      run.child.kill("SIGKILL");
      await run.ended;

      const told = `seed ${seed}, kill ${kill}, after: ${run.said.slice(-200)}`;
      const files = await contents(out);
      const weights = files["model.safetensors"] as Buffer;
      const saved = Object.values(savedRunNames).map((name) => files[name]);
      const isEarlier = weights.equals(before["model.safetensors"] as Buffer);
      const records = (isEarlier ? before : files) as Record<string, Buffer>;
      if (isEarlier)
        for (const [name, bytes] of Object.entries(before))
          expect(files[name]?.equals(bytes), `${name}, ${told}`).toBe(true);
      expect(
        Object.keys(files)
          .filter((name) => !name.startsWith("saved_run"))
          .sort(),
        told,
      ).toEqual(Object.keys(before).sort());
      const { complete } = JSON.parse(String(records["metrics.json"]));
      if (!isEarlier && complete) {
        expect(weights.equals(after["model.safetensors"] as Buffer), told).toBe(true);
        seen.done++;
      } else if (saved.every(Boolean)) {
        const [text, state] = saved.map((bytes) => new Blob([new Uint8Array(bytes as Buffer)]));
        const resumed = await goOn(backend, text as Blob, state as Blob);
        expect(resumed.equals(after["model.safetensors"] as Buffer), told).toBe(true);
        if (isEarlier) seen.kept++;
        else seen.early++;
      } else {
        expect(saved, told).toEqual([undefined, undefined]);
        expect(isEarlier, told).toBe(true);
        seen.earlier++;
      }
      // The next run finds a folder that it can use.
      await (await openOut(out, { reads: [], overwrite: false, tell: () => {} })).close();
    }
    if (process.env.SELORA_KILLS)
      console.log(
        `${backend}, seed ${seed}: ${seen.earlier} left the earlier set, ${seen.kept} that and a run to go on with, ${seen.early} a run that ended early, ${seen.done} were done`,
      );
    expect(seen.earlier + seen.kept + seen.early + seen.done).toBe(kills);
  },
);

/** Goes on with a saved run to its end; the weights as they are exported. */
async function goOn(backend: Backend, text: Blob, state: Blob): Promise<Buffer> {
  const saved = await readSavedRun(text, state);
  const session = createNodeSession();
  await session.open(backend);
  await session.loadModel(await filesOnDisk(model), {});
  await session.loadData("target", "target", await walk(target), saved.recipe.seed);
  expect((await session.train(saved.recipe, saved)).complete).toBe(true);
  const { files } = await session.merge();
  const { blob } = files.find(({ path }) => path === "model.safetensors")!;
  return Buffer.from(await blob.arrayBuffer());
}
