// Every strategy against PyTorch autograd: gradients of what it learns and of its gates, the size of its change and what it
// adds to what passes it; and each against its own promises: a closed gate is the frozen network, a merge is what was
// computed with, a snapshot restores to the bit. DoRA's reference is held to PEFT's where the fixture is made.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "../tensor/allclose.ts";
import { type Fixture, readFixture } from "../checkpoint/testing/fixture.ts";
import { cosineDistance } from "../tensor/cosine.ts";
import { softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { linear, linearInputGradient } from "../tensor/linear.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal, take } from "../tensor/testing/numbers.ts";
import { backward } from "../vit/backward.ts";
import { forward } from "../vit/forward.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import type { KeptLayer, Site, VitWeights } from "../vit/types.ts";
import { createAdaptation } from "./adaptation.ts";
import { gateNoise, hardConcrete, logitGradient } from "./hard_concrete.ts";
import { type Method, methods } from "./methods.ts";
import { siteMatrices } from "./sites.ts";
import { beginStep } from "./testing/gradients.ts";
import type { Adaptation, AdaptationOptions } from "./types.ts";

const base: AdaptationOptions = {
  method: "selective",
  granularity: "block",
  targetModules: "both",
  rank: 3,
  alpha: 5,
  tau: 0.1,
  seed: 0,
};

const load = () => readFixture(new URL("./fixtures/strategies.safetensors", import.meta.url));

/** Values of a snapshot's tensor out of a fixture, where a site's pieces lie apart; null where it has none. */
function valuesOf(fixture: Fixture, prefix: string, name: string): Float32Array | null {
  const [, layer, site, part] = name.match(/^layer\.(\d+)\.(qkv|o|fc1|fc2)\.(\w+)$/) ?? [];
  if (!site) return name.startsWith("rest.") ? fixture.values(prefix + name) : null;
  const pieces = siteMatrices[site as Site].map((matrix) =>
    fixture.values(`${prefix}layer.${layer}.${matrix}.${part}`),
  );
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

async function startAs(adaptation: Adaptation, fixture: Fixture, name: string, scores?: ArrayLike<number>) {
  const snapshot = await adaptation.snapshot();
  for (const [key, saved] of Object.entries(snapshot.tensors)) {
    const values = valuesOf(fixture, `${name}.`, key);
    if (values) saved.data = values;
  }
  if (scores) snapshot.tensors.scores!.data = Float32Array.from(scores);
  adaptation.restore(snapshot);
}

const inputs: Record<Site, keyof KeptLayer> = { qkv: "norm1", o: "oInput", fc1: "norm2", fc2: "h" };

/** The fixture's batch through the network and back, and what each gate's matrices add to what passes them. */
async function batchOf(
  weights: VitWeights,
  pixels: tf.Tensor4D,
  fixture: Fixture,
  adaptation: Adaptation,
  { noise = null, keep = 0 }: { noise?: number | null; keep?: number } = {},
) {
  const head = tf.tensor2d(fixture.values("head.weight"), fixture.shape("head.weight") as [number, number]);
  const bias = tf.tensor1d(fixture.values("head.bias"));
  const labels = tf.tensor1d(Int32Array.from(fixture.values("labels")), "int32");
  const mask = tf.tensor1d(fixture.values("weights"));
  const { step, end } = beginStep(adaptation, noise);
  const { features, kept } = forward(weights, { pixels }, step.effective, {
    keepFrom: { layer: 0, site: "entry" },
    keepInput: step.keepInput,
  });
  const outputs = await adaptation.outputNorms(
    (layer, site) => kept?.layers[layer]?.[inputs[site]] as tf.Tensor2D,
  );
  const logits = linear(features.pooled, head, bias);
  const { loss, gradient } = softmaxCrossEntropy(logits, labels, mask, 0);
  let dpooled = linearInputGradient(gradient, head);
  let distance: number | null = null;
  if (keep > 0) {
    const frozen = forward(weights, { pixels }, null);
    const two = tf.mul(mask, 0.5) as tf.Tensor1D;
    const apart = cosineDistance(features.pooled, frozen.features.pooled, two);
    distance = (await take(apart.loss))[0] as number;
    const both = tf.tidy(() => tf.add(dpooled, tf.mul(apart.gradient, keep))) as tf.Tensor2D;
    tf.dispose([dpooled, two, apart.gradient]);
    frozen.features.dispose();
    dpooled = both;
  }
  const dx = backward(weights, kept!, dpooled, step.effective, step.visit, step.visitRest);
  step.visitEntry?.({ pixels }, dx as tf.Tensor2D);
  const found = end();
  features.dispose();
  tf.dispose([head, bias, labels, mask, logits, gradient, dpooled]);
  return { loss, entry: dx as tf.Tensor2D, outputs, distance, ...found };
}

onEveryBackend((backend) => {
  it.each(["taps", "dora", "l0", "full", "keep"] as const)(
    "agrees with autograd on every gradient: %s",
    async (name) => {
      const network = await networkFixture("vit");
      const fixture = await load();
      const { granularity, open } =
        fixture.json<
          Record<string, { granularity: AdaptationOptions["granularity"]; open: number[] | null }>
        >("cases")[name]!;
      const weights = await loadFixtureNetwork(network);
      const method: Method = name === "keep" ? "selective" : name;
      const adaptation = createAdaptation(weights, { ...base, method, granularity });
      const scores = name === "l0" ? fixture.values("l0.scores") : open?.map((gate) => (gate ? 0.4 : 0.05));
      await startAs(adaptation, fixture, name, method === "full" ? undefined : scores!);
      const pixels = tf.tensor4d(network.values("pixels"), [3, 16, 16, 3]);
      const noise = name === "l0" ? fixture.json<number>("noiseStep") : null;
      const keep = name === "keep" ? fixture.json<number>("keep") : 0;
      const got = await batchOf(weights, pixels, fixture, adaptation, { noise, keep });

      expect(await take(got.loss)).toBeAllClose(fixture.values(`${name}.loss`), { atol: 1e-5 });
      if (keep > 0) expect(got.distance).toBeCloseTo(fixture.values("keep.distance")[0]!, 5);
      const learning = adaptation.learning();
      for (const [i, index] of learning.entries()) {
        const key = adaptation.names[index] as string;
        const prefix = key.startsWith("rest.") ? "full." : `${name}.gradient.`;
        const expected = valuesOf(fixture, prefix, key.replace(/^rest\./, "rest_gradient."));
        const reference = expected ?? fixture.values(`full.${key.replace("rest.", "rest_gradient.")}`);
        const actual = await take(got.gradients[i]!);
        // Attention does not hear of its keys' bias, so a third of that gradient is rounding beside the other two.
        expect(relativeError(actual, reference), key).toBeLessThan(1e-3);
      }
      if (method === "full") {
        expect(got.scores).toBeNull();
        expect(learning.length).toBe(3 * 4 + 3 * (4 + 4) + 2 + 2 + 2);
      } else {
        // The teacher's own pass goes through the same hook in PyTorch.
        if (name !== "keep") {
          const expected = fixture.values(`${name}.entry_gradient`);
          expect(relativeError(await got.entry.data(), expected)).toBeLessThan(1e-3);
        }
        const reading = await adaptation.read();
        expect(reading.deltaNorm).toBeAllClose(fixture.values(`${name}.delta_norms`), {
          rtol: 1e-4,
          atol: 0,
        });
        expect(got.outputs).toBeAllClose(fixture.values(`${name}.output_norms`), { rtol: 1e-3, atol: 0 });
        let slope = got.scores as tf.Tensor1D;
        if (name === "l0") {
          const logits = tf.tensor1d(fixture.values("l0.scores"));
          // The penalty's weight is the reference's default, 1.
          const noise = noiseOf(fixture.json<number>("noiseStep"));
          const bare = slope;
          slope = logitGradient(logits, noise, bare, 1);
          tf.dispose([logits, noise, bare]);
          expect([...reading.open]).toEqual([1, 1, 1, 1, 1, 1]);
        } else expect([...reading.open]).toEqual(open);
        expect(relativeError(await take(slope), fixture.values(`${name}.score_gradient`))).toBeLessThan(1e-3);
      }
      tf.dispose([pixels, got.entry]);
      adaptation.dispose();
      weights.dispose();
    },
    120_000,
  );

  it.each(methods)("is the frozen network at its start and with every gate closed: %s", async (method) => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const adaptation = createAdaptation(weights, { ...base, method });
    const pixels = tf.tensor4d(
      normal(16 * 16 * 3, 1, 40).map((v) => v + 128),
      [1, 16, 16, 3],
    );
    const seen = async (open?: Uint8Array, strength = 1) => {
      const effective = adaptation.effective({ ...(open && { open }), strength });
      const { features } = forward(weights, { pixels }, effective);
      const values = await features.pooled.data();
      features.dispose();
      effective.dispose();
      return values as Float32Array;
    };
    const { features } = forward(weights, { pixels }, null);
    const before = (await features.pooled.data()) as Float32Array;
    expect(await seen()).toBeAllClose(before, { atol: 1e-5 });
    const snapshot = await adaptation.snapshot();
    let made = 0;
    for (const [key, saved] of Object.entries(snapshot.tensors)) {
      if (key === "scores" || key === "score_momentum" || key === "sensitivity") continue;
      const noise = normal(saved.data.length, ++made, 0.2);
      saved.data = saved.data.map((value, i) => value + noise[i]!);
    }
    adaptation.restore(snapshot);
    expect(await adaptation.snapshot()).toEqual(snapshot);
    const none = new Uint8Array(adaptation.gates.length);
    const all = new Uint8Array(adaptation.gates.length).fill(1);
    expect(await seen(none)).toEqual(before);
    expect(await seen(all, 0)).toEqual(before);
    if (method !== "linear") expect(relativeError(await seen(all), before)).toBeGreaterThan(0.01);
    features.dispose();
    pixels.dispose();
    adaptation.dispose();
    weights.dispose();
  });

  if (backend === "webgpu") return;

  it.each(methods)(
    "merges what it computes with, and the strength is a straight line: %s",
    async (method) => {
      const network = await networkFixture("deit");
      const weights = await loadFixtureNetwork(network);
      const adaptation = createAdaptation(weights, { ...base, method, granularity: "matrix" });
      const snapshot = await adaptation.snapshot();
      let made = 0;
      for (const [key, saved] of Object.entries(snapshot.tensors)) {
        if (key === "scores" || key === "score_momentum" || key === "sensitivity") continue;
        const noise = normal(saved.data.length, ++made, 0.2);
        saved.data = saved.data.map((value, i) => value + noise[i]!);
      }
      adaptation.restore(snapshot);
      const open = Uint8Array.from(adaptation.gates, (_, i) => (i % 3 === 0 ? 1 : 0));
      const [whole, half] = [
        await adaptation.merge({ open }),
        await adaptation.merge({ open, strength: 0.5 }),
      ];
      expect((await adaptation.merge({ open, strength: 0 })).size).toBe(0);
      const matrices = adaptation.gates
        .filter((_, i) => open[i])
        .map((g) => `layer.${g.layer}.${g.column}.weight`);
      const merged = [...whole.keys()];
      const wanted = method === "linear" ? [] : matrices;
      expect(merged.filter((role) => matrices.includes(role))).toEqual(wanted);
      if (method !== "full" && method !== "lp-ft") expect(merged).toEqual(wanted);
      else {
        for (const role of [
          "cls_token",
          "dist_token",
          "pos_embed",
          "patch_embed.weight",
          "norm.bias",
          "layer.0.q.bias",
        ])
          expect(merged).toContain(role);
        // A matrix that is closed by hand takes its bias along.
        expect(merged).not.toContain("layer.0.fc1.weight");
        expect(merged).not.toContain("layer.0.fc1.bias");
      }
      for (const [role, values] of whole) {
        const frozen = network.values(role);
        const middle = frozen.map((w, i) => (w + values[i]!) / 2);
        expect(half.get(role), role).toBeAllClose(middle, { atol: 1e-5 });
        expect(relativeError(values, frozen), role).toBeGreaterThan(1e-3);
      }
      adaptation.dispose();
      weights.dispose();
    },
  );

  it("leaves frozen what the file cannot take back", async () => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const stored = new Set(["norm.weight", "layer.1.fc1.bias", "cls_token"]);
    const adaptation = createAdaptation(weights, { ...base, method: "full", stored });
    const rest = adaptation.names.filter((name) => name.startsWith("rest."));
    // The prefix is the class token and the distillation token, of which the file holds one.
    expect(rest).toEqual(["rest.layer.1.fc1.bias", "rest.norm.weight"]);
    adaptation.dispose();
    weights.dispose();
  });

  it("draws the noise of a gate from seed and step alone, and closes it without noise", async () => {
    const [first, again, other] = [noiseOf(3), noiseOf(3), noiseOf(4)];
    expect(await first.data()).toEqual(await again.data());
    expect(await first.data()).not.toEqual(await other.data());
    const logits = tf.tensor1d([-9, -2.5, -2.3, 0, 2.3, 2.5, 9]);
    const gates = await take(hardConcrete(logits, null));
    expect([...gates.slice(0, 2)]).toEqual([0, 0]);
    expect([...gates.slice(5)]).toEqual([1, 1]);
    expect(gates[2]).toBeGreaterThan(0);
    expect(gates[4]).toBeLessThan(1);
    expect(gates[3]).toBeCloseTo(0.5, 6);
    tf.dispose([first, again, other, logits]);
  });
});

function noiseOf(step: number): tf.Tensor1D {
  return tf.tensor1d(gateNoise(0, step, 6));
}
