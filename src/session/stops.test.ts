// A stop is heard within half a second, wherever it comes in a run, in what is measured of it, or in its export: each is
// walked through on a network whose batches take seconds on a CPU, stopped from outside in the middle, and the longest time
// that nobody else had a turn is measured. What was loaded, and the run before, stay as they were.
import { beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../checkpoint/safetensors.ts";
import { Failure } from "../failure.ts";
import { random, seedFor } from "../random.ts";
import { createNodeSession } from "./node.ts";
import type { Session, SessionEvent, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { pictures } from "./testing.ts";

/** Milliseconds. */
const SOON = 500;
/** Into a kind of work, before the stop. */
const MEANWHILE = 120;

const width = 192;
const depth = 4;
const classes = ["cat", "dog", "mouse"];

/** A ViT of transformers' names and random weights, at 224 x 224: a training step on 32 images takes seconds. */
function heavyModel(): SourceFile[] {
  const stream = random(seedFor(1, "heavy"));
  const tensor = (name: string, shape: number[]) => {
    const flat = shape.length === 1;
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      flat ? (name.endsWith("bias") ? 0 : 1) : (stream.next() - 0.5) * 0.1,
    );
    return { name: `vit.${name}`, dtype: "F32", shape, bytes: new Blob([values]) };
  };
  const linear = (name: string, out: number, input: number) => [
    tensor(`${name}.weight`, [out, input]),
    tensor(`${name}.bias`, [out]),
  ];
  const norm = (name: string) => [tensor(`${name}.weight`, [width]), tensor(`${name}.bias`, [width])];
  const layer = (at: string) => [
    ...norm(`${at}.layernorm_before`),
    ...["query", "key", "value"].flatMap((name) => linear(`${at}.attention.attention.${name}`, width, width)),
    ...linear(`${at}.attention.output.dense`, width, width),
    ...norm(`${at}.layernorm_after`),
    ...linear(`${at}.intermediate.dense`, 4 * width, width),
    ...linear(`${at}.output.dense`, width, 4 * width),
  ];
  const tensors = [
    tensor("embeddings.cls_token", [1, 1, width]),
    tensor("embeddings.position_embeddings", [1, 197, width]),
    tensor("embeddings.patch_embeddings.projection.weight", [width, 3, 16, 16]),
    tensor("embeddings.patch_embeddings.projection.bias", [width]),
    ...Array.from({ length: depth }, (_, i) => layer(`encoder.layer.${i}`)).flat(),
    ...norm("layernorm"),
  ];
  const config = {
    architectures: ["ViTForImageClassification"],
    model_type: "vit",
    hidden_size: width,
    num_hidden_layers: depth,
    num_attention_heads: 4,
    intermediate_size: 4 * width,
    image_size: 224,
    patch_size: 16,
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
  };
  const preprocessor = {
    size: { height: 224, width: 224 },
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    resample: 2,
  };
  const json = (path: string, value: unknown) => ({ path, blob: new Blob([JSON.stringify(value)]) });
  return [
    { path: "heavy/model.safetensors", blob: writeSafetensors(tensors, { format: "pt" }) },
    json("heavy/config.json", config),
    json("heavy/preprocessor_config.json", preprocessor),
  ];
}

const recipe: Recipe = { ...defaultRecipe, rank: 4, epochs: 2, batch: 32, seed: 3, method: "lora" };

/** A moment: by the clock, and by what this process has computed. */
function moment() {
  const { user, system } = process.cpuUsage();
  return { clock: performance.now(), computed: (user + system) / 1000 };
}

/** Milliseconds since a moment, but for those in which the machine was busy with other programs. */
function since(then: ReturnType<typeof moment>): number {
  const now = moment();
  return Math.min(now.clock - then.clock, now.computed - then.computed);
}

/** Watches how long others wait for a turn, from now on. */
function watchTurns(): () => number {
  let longest = 0;
  let last = moment();
  let on = true;
  const beat = () => {
    longest = Math.max(longest, since(last));
    last = moment();
    if (on) setImmediate(beat);
  };
  setImmediate(beat);
  return () => {
    on = false;
    return longest;
  };
}

const label = (text: string) => (event: SessionEvent) =>
  event.kind === "progress" && event.label.startsWith(text);

/**
 * Starts work, stops it some time after an event has told that it is in the middle of what is meant, and waits.
 * @returns milliseconds from the stop to `heard`, or to the work's end; how it ended; and the longest wait for a turn
 */
async function stopIn(
  session: Session,
  work: () => Promise<unknown>,
  inside: (event: SessionEvent) => boolean,
  heard?: (event: SessionEvent) => boolean,
) {
  let waiting = false;
  let stopped: ReturnType<typeof moment> | null = null;
  let after: number | null = null;
  const turns = watchTurns();
  const end = session.subscribe((event) => {
    if (!waiting && inside(event)) {
      waiting = true;
      setTimeout(() => {
        stopped = moment();
        void session.stop();
      }, MEANWHILE);
    } else if (stopped && heard?.(event)) after ??= since(stopped);
  });
  const outcome = await work().then(
    () => "done",
    (error: unknown) => Failure.from(error).parts.code,
  );
  after ??= stopped && since(stopped);
  end();
  return { outcome, after, longest: turns() };
}

describe("a stop from outside, in the middle of", () => {
  let session: Session;
  let open: Uint8Array;
  const cancelled = (found: Awaited<ReturnType<typeof stopIn>>) => {
    expect(found.outcome).toBe("cancelled");
    expect(found.after).toBeLessThan(SOON);
    expect(found.longest).toBeLessThan(SOON);
  };

  beforeAll(async () => {
    session = createNodeSession();
    await session.open("wasm");
    await session.loadModel(heavyModel(), {});
    await session.loadData(
      "target",
      "pets",
      await pictures("pets", classes, { train: 12, val: 8, test: 12 }),
      0,
    );
    await session.loadData("ood", "drawn", await pictures("drawn", classes, 12), 0);
  }, 120_000);

  test.each([["Loading the network"], ["Looking at the training images"], ["Fitting the linear probe"]])(
    "%s: the run is cancelled",
    async (work) => {
      cancelled(await stopIn(session, () => session.train(recipe), label(work)));
    },
  );

  test("what is measured of the frozen network after the first steps: what was learned before it is kept", async () => {
    const found = await stopIn(
      session,
      () => session.train(recipe),
      label("Measuring before, on a sample"),
      (event) => event.kind === "status" && event.status === "evaluating",
    );
    expect(found).toMatchObject({ outcome: "done" });
    expect(found.after).toBeLessThan(SOON);
    expect(found.longest).toBeLessThan(SOON);
  });

  test("a training step: what was learned before it is kept", async () => {
    const found = await stopIn(
      session,
      () => session.train(recipe),
      (event) => event.kind === "step",
      (event) => event.kind === "status" && event.status === "evaluating",
    );
    expect(found).toMatchObject({ outcome: "done" });
    expect(found.after).toBeLessThan(SOON);
    expect(found.longest).toBeLessThan(SOON);
  });

  test("the first step, which is watched for memory", async () => {
    const found = await stopIn(
      session,
      () => session.train(recipe),
      (event) => event.kind === "started",
      (event) => event.kind === "status" && event.status === "evaluating",
    );
    expect(found).toMatchObject({ outcome: "done" });
    expect(found.after).toBeLessThan(SOON);
  });

  test("what is measured of a finished run, and its export", async () => {
    const result = await session.train({ ...recipe, epochs: 1 });
    open = result.final.open;
    const other = () =>
      session.adjust(
        open.map((_, i) => i % 2),
        0.5,
      );
    cancelled(await stopIn(session, other, label("Measuring")));
    cancelled(await stopIn(session, () => session.measurePath([0, 0.5, 1], 256), label("Measuring between")));
    cancelled(await stopIn(session, () => session.tradeOff(), label("Opening blocks")));
    cancelled(await stopIn(session, () => session.robustness(), label("Measuring between")));
    for (const work of ["Merging", "Opening the file", "Scoring the file"])
      cancelled(await stopIn(session, () => session.exportMerged(), label(work)));
    // The run is still there, as it was.
    expect((await session.adjust(open, 1)).sets.map(({ accuracy }) => accuracy)).toEqual(
      result.after.sets.map(({ accuracy }) => accuracy),
    );
  });
});
