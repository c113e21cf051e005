// Holds every LoRA and gate gradient to PyTorch autograd, and the change to what it claims to be.
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { linear, linearInputGradient } from "../tensor/linear.ts";
import "../tensor/allclose.ts";
import { type Fixture, readFixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal, take } from "../tensor/testing/numbers.ts";
import { backward } from "../vit/backward.ts";
import { forward } from "../vit/forward.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import type { LayerWeights, VitWeights } from "../vit/types.ts";
import { createAdaptation } from "./adaptation.ts";
import { listGates } from "./gates.ts";
import { beginStep } from "./testing/gradients.ts";
import { stackPieces, startFrom } from "./testing/start.ts";
import type { Adaptation, AdaptationOptions, AdaptationStep } from "./types.ts";

const base: AdaptationOptions = {
  method: "selective",
  granularity: "block",
  targetModules: "both",
  rank: 3,
  alpha: 5,
  tau: 0.1,
  seed: 0,
};

interface Case {
  granularity: AdaptationOptions["granularity"];
  target: AdaptationOptions["targetModules"];
  open: number[];
}

const openScores = (open: ArrayLike<number>) => Array.from(open, (gate) => (gate ? 0.4 : 0.05));

/** Loss and gradients of the fixture's masked batch, by the explicit backward. */
function gradientsOf(
  weights: VitWeights,
  network: Fixture,
  fixture: Fixture,
  adaptation: Adaptation,
  toEntry: boolean,
) {
  const pixels = tf.tensor4d(network.values("pixels"), [3, 16, 16, 3]);
  const head = tf.tensor2d(fixture.values("head.weight"), fixture.shape("head.weight") as [number, number]);
  const bias = tf.tensor1d(fixture.values("head.bias"));
  const labels = tf.tensor1d(Int32Array.from(fixture.values("labels")), "int32");
  const mask = tf.tensor1d(fixture.values("weights"));
  const { step, end } = beginStep(adaptation);
  const { features, kept } = forward(weights, { pixels }, step.effective, {
    keepFrom: toEntry ? { layer: 0, site: "entry" } : step.keepFrom,
    keepInput: step.keepInput,
  });
  const logits = linear(features.pooled, head, bias);
  const { loss, gradient } = softmaxCrossEntropy(logits, labels, mask, 0);
  const dcls = linearInputGradient(gradient, head);
  const visited: string[] = [];
  const entry = kept
    ? backward(weights, kept, dcls, step.effective, (layer, site, x, dy) => {
        visited.push(`${layer}.${site}`);
        step.visit(layer, site, x, dy);
      })
    : null;
  const found = end();
  features.dispose();
  tf.dispose([pixels, head, bias, labels, mask, logits, gradient, dcls]);
  return { loss, entry, visited, ...found };
}

onEveryBackend((backend) => {
  const cases = [
    ["vit", 0, "all blocks open"],
    ["vit", 1, "two blocks open"],
    ["vit", 2, "one layer open"],
    ["vit", 3, "matrices open here and there, q k v apart"],
    ["vit", 4, "MLP only"],
    ["vit", 5, "matrices of attention only"],
    ["deit", 0, "distilled DeiT, all blocks open"],
    ["deit", 1, "distilled DeiT, matrices here and there"],
  ] as const;

  it.each(cases)("agrees with autograd on every gradient: %s %i, %s", async (name, index) => {
    const network = await networkFixture(name);
    const fixture = await readFixture(new URL(`./fixtures/${name}.safetensors`, import.meta.url));
    const { granularity, target, open } = fixture.json<Case[]>("cases")[index] as Case;
    const weights = await loadFixtureNetwork(network);
    const options = { ...base, granularity, targetModules: target, rank: fixture.json<number>("rank") };
    const adaptation = createAdaptation(weights, { ...options, alpha: fixture.json<number>("alpha") });
    await startFrom(adaptation, fixture.values, openScores(open));
    const expected = (key: string) => fixture.values(`case.${index}.${key}`);

    const { loss, entry, gradients, scores } = gradientsOf(weights, network, fixture, adaptation, true);
    expect(await take(loss)).toBeAllClose(expected("loss"), { atol: 1e-5 });
    expect(relativeError(await take(scores!), expected("scores"))).toBeLessThan(1e-3);
    expect(relativeError(await take(entry!), expected("entry_gradient"))).toBeLessThan(1e-3);
    for (const [i, { layer, site }] of adaptation.sites.entries()) {
      for (const [j, part] of (["lora_A", "lora_B"] as const).entries()) {
        const reference = stackPieces(layer, site, part, expected);
        const actual = await take(gradients[2 * i + j]!);
        expect(relativeError(actual, reference), `layer.${layer}.${site}.${part}`).toBeLessThan(1e-3);
      }
    }
    const reading = await adaptation.read();
    expect([...reading.open]).toEqual(open);
    expect(reading.deltaNorm).toBeAllClose(expected("delta_norms"), { atol: 0, rtol: 1e-4 });
    adaptation.dispose();
    weights.dispose();
  });

  it("a gate whose score is exactly tau is open wherever it counts: in the step, the reading, frozen and merged", async () => {
    const network = await networkFixture("vit");
    const fixture = await readFixture(new URL("./fixtures/vit.safetensors", import.meta.url));
    const weights = await loadFixtureNetwork(network);
    const tau = Math.fround(base.tau);
    const bits = new Uint32Array(Float32Array.of(tau).buffer);
    const below = new Float32Array(Uint32Array.of((bits[0] as number) - 1).buffer)[0] as number;
    const open = [1, 0, 0, 1, 1, 0];
    const adaptation = createAdaptation(weights, base);
    await startFrom(
      adaptation,
      fixture.values,
      open.map((gate) => (gate ? tau : below)),
    );
    // Gates run layer by layer, attention before MLP.
    const opened = adaptation.sites.filter(
      ({ layer, site }) => open[2 * layer + (site.startsWith("fc") ? 1 : 0)],
    );
    const changedIn = async ({ effective }: Pick<AdaptationStep, "effective">) => {
      const changed: boolean[] = [];
      for (const { layer, site } of adaptation.sites) {
        const now = await effective.weight(layer, site).data();
        const was = await (weights.layers[layer] as LayerWeights)[site].weight.data();
        changed.push(now.some((value, i) => value !== was[i]));
      }
      return changed;
    };
    const expected = adaptation.sites.map((site) => opened.includes(site));
    for (const frozen of [false, true]) {
      if (frozen) await adaptation.freeze();
      const { step, end } = beginStep(adaptation);
      expect(await changedIn(step), `frozen: ${frozen}`).toEqual(expected);
      const left = end();
      tf.dispose([...left.gradients, ...(left.scores ? [left.scores] : [])]);
      expect([...(await adaptation.read()).open]).toEqual(open);
      const merged = [...(await adaptation.merge()).keys()].map((role) =>
        role.split(".").slice(0, 2).join("."),
      );
      expect(new Set(merged)).toEqual(new Set(opened.map(({ layer }) => `layer.${layer}`)));
    }
    adaptation.dispose();
    weights.dispose();
  });

  it("freezes: shut sites are neither kept nor visited, open ones get the same gradients", async () => {
    const network = await networkFixture("vit");
    const fixture = await readFixture(new URL("./fixtures/vit.safetensors", import.meta.url));
    const weights = await loadFixtureNetwork(network);
    const adaptation = createAdaptation(weights, base);
    await startFrom(adaptation, fixture.values, openScores([0, 0, 0, 1, 1, 0]));
    const moving = gradientsOf(weights, network, fixture, adaptation, false);
    expect(moving.visited.length).toBe(12);
    await adaptation.freeze();
    const resting = gradientsOf(weights, network, fixture, adaptation, false);
    expect(resting.visited).toEqual(["2.o", "2.qkv", "1.fc2", "1.fc1"]);
    expect(resting.scores).toBeNull();
    const learning = adaptation.learning();
    // Sites run qkv o fc1 fc2: layer 1's fc1 and fc2, layer 2's qkv and o.
    expect(learning).toEqual([6, 7, 8, 9].flatMap((site) => [2 * site, 2 * site + 1]));
    expect(adaptation.lowest(Uint8Array.from([0, 0, 0, 1, 1, 0]))).toEqual({ layer: 1, site: "fc1" });
    for (const [i, gradient] of resting.gradients.entries()) {
      expect(await gradient.data()).toEqual(await moving.gradients[learning[i]!]!.data());
    }
    tf.dispose([moving.loss, resting.loss, ...moving.gradients, ...resting.gradients]);
    moving.scores?.dispose();
    adaptation.dispose();
    weights.dispose();
  });

  it("starts as the frozen network, by the same seed the same way", async () => {
    const network = await networkFixture("vit");
    const weights = await loadFixtureNetwork(network);
    const first = createAdaptation(weights, base);
    const again = createAdaptation(weights, { ...base, granularity: "matrix" });
    const other = createAdaptation(weights, { ...base, seed: 1 });
    const effective = first.effective();
    expect(await effective.weight(1, "qkv").data()).toEqual(await weights.layers[1]!.qkv.weight.data());
    const a = await first.parameters[0]!.data();
    expect(await again.parameters[0]!.data()).toEqual(a);
    expect(await other.parameters[0]!.data()).not.toEqual(a);
    expect(Math.max(...a.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(24));
    expect((await first.merge()).size).toBe(18);
    effective.dispose();
    first.dispose();
    again.dispose();
    other.dispose();
    weights.dispose();
  });

  it("merges what it computes with: W + strength·alpha/r·BA where a gate is open, nothing elsewhere", async () => {
    const network = await networkFixture("variant");
    const weights = await loadFixtureNetwork(network);
    const adaptation = createAdaptation(weights, { ...base, granularity: "matrix" });
    const made = new Map<string, Float32Array>();
    await startFrom(adaptation, (name) => {
      const matrix = name.split(".")[2] as string;
      const [out, input] = matrix === "fc1" ? [50, 30] : matrix === "fc2" ? [30, 50] : [30, 30];
      const size = name.endsWith("A") ? 3 * input : 3 * out;
      const values = made.get(name) ?? normal(size, made.size + 1, 0.1);
      made.set(name, values);
      return values;
    });
    const open = Uint8Array.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
    const merged = await adaptation.merge({ open, strength: 0.5 });
    expect([...merged.keys()]).toEqual(["layer.0.k.weight", "layer.0.fc2.weight", "layer.1.o.weight"]);
    for (const [role, values] of merged) {
      const [, layer, matrix] = role.split(".") as [string, string, string];
      const A = made.get(`layer.${layer}.${matrix}.lora_A`)!;
      const B = made.get(`layer.${layer}.${matrix}.lora_B`)!;
      const frozen = network.values(role);
      const input = A.length / 3;
      const expected = frozen.map((w, i) => {
        const [row, column] = [Math.floor(i / input), i % input];
        let sum = 0;
        for (let r = 0; r < 3; r++) sum += B[row * 3 + r]! * A[r * input + column]!;
        return w + ((0.5 * 5) / 3) * sum;
      });
      expect(values).toBeAllClose(expected, { atol: 1e-6 });
    }
    expect((await adaptation.merge({ open, strength: 0 })).size).toBe(0);
    const effective = adaptation.effective({ open, strength: 0.5 });
    expect(effective.weight(0, "o")).toBe(weights.layers[0]!.o.weight);
    expect(await effective.weight(1, "o").data()).toEqual(merged.get("layer.1.o.weight"));
    effective.dispose();
    adaptation.dispose();
    weights.dispose();
  });

  it("moves scores by SGD with momentum and the penalty, and sums up sensitivity", async () => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const adaptation = createAdaptation(weights, base);
    const gradient = tf.tensor1d([0.5, -0.25, 0, -1]);
    adaptation.stepScores(gradient, 0, 0.1);
    adaptation.stepScores(gradient, 0.8, 0.1);
    // First step: s = 0.15 - 0.1 g. Then v = 0.9 g + g + 0.2 sign(s), s moves by -0.1 v.
    const after = [0.5, -0.25, 0, -1].map((g) => {
      const first = Math.fround(0.15) - 0.1 * g;
      return first - 0.1 * (1.9 * g + 0.2 * Math.sign(first));
    });
    const reading = await adaptation.read(true);
    expect(reading.scores).toBeAllClose(after, { atol: 1e-6 });
    expect([...reading.open]).toEqual([0, 1, 1, 1]);
    expect(reading.sensitivity).toBeAllClose([0.5, 0.25, 0, 1], { atol: 1e-6 });
    // It stays known until the next step, from which it starts anew.
    expect((await adaptation.read(true)).sensitivity).toBeAllClose([0.5, 0.25, 0, 1], { atol: 1e-6 });
    tf.tidy(() => adaptation.stepScores(tf.tensor1d([0.25, 0, -0.5, 0]), 0, 0));
    expect((await adaptation.read()).sensitivity).toBeAllClose([0.25, 0, 0.5, 0], { atol: 1e-6 });
    gradient.dispose();
    adaptation.dispose();
    weights.dispose();
  });

  it("sums up the sensitivity of hard-concrete gates from one reading to the next", async () => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const adaptation = createAdaptation(weights, { ...base, method: "l0" });
    const step = (values: number[]) => tf.tidy(() => adaptation.stepScores(tf.tensor1d(values), 0, 0.1));
    step([0.5, -0.25, 0, -1]);
    step([0.25, -0.75, 0, 0]);
    expect((await adaptation.read(true)).sensitivity).toBeAllClose([0.375, 0.5, 0, 0.5], { atol: 1e-6 });
    step([0.125, 0, -0.5, 0]);
    expect((await adaptation.read()).sensitivity).toBeAllClose([0.125, 0, 0.5, 0], { atol: 1e-6 });
    adaptation.dispose();
    weights.dispose();
  });

  it("restores a snapshot to the bit and refuses one that does not fit", async () => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const adaptation = createAdaptation(weights, base);
    await startFrom(adaptation, () => null, [0.3, 0.01, -0.2, 0.11]);
    await adaptation.freeze();
    const snapshot = await adaptation.snapshot();
    const fresh = createAdaptation(weights, { ...base, seed: 9 });
    fresh.restore(structuredClone(snapshot));
    expect(await fresh.snapshot()).toEqual(snapshot);
    expect([...(snapshot.frozen as Uint8Array)]).toEqual([1, 0, 0, 1]);
    const wider = createAdaptation(weights, { ...base, rank: 4 });
    const before = await wider.snapshot();
    expect(() => wider.restore(snapshot)).toThrow(/another model or another recipe/);
    expect(await wider.snapshot()).toEqual(before);
    fresh.dispose();
    wider.dispose();
    adaptation.dispose();
    weights.dispose();
  });

  if (backend === "wasm") {
    it("lists gates that own every adapted matrix once, in order", async () => {
      const { architecture } = await loadFixtureNetwork(await networkFixture("vit")).then((weights) => {
        weights.dispose();
        return weights;
      });
      fc.assert(
        fc.property(
          fc.constantFrom("block", "layer", "matrix" as const),
          fc.constantFrom("both", "attention", "mlp" as const),
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 1, max: 8 }),
          (granularity, target, layers, rank) => {
            const gates = listGates(
              { ...architecture, layers },
              { method: "selective", granularity, targetModules: target, rank },
            );
            const names = gates.flatMap((gate) => gate.matrices.map((matrix) => `${gate.layer}.${matrix}`));
            const wanted = [
              ...(target === "mlp" ? [] : ["q", "k", "v", "o"]),
              ...(target === "attention" ? [] : ["fc1", "fc2"]),
            ];
            expect(names).toEqual(
              Array.from({ length: layers }, (_, layer) => wanted.map((m) => `${layer}.${m}`)).flat(),
            );
            expect(gates.map((gate) => gate.id)).toEqual(gates.map((_, i) => i));
            const parameters = { attention: rank * 8 * 24, mlp: rank * 2 * (24 + 48) };
            const each =
              (target === "mlp" ? 0 : parameters.attention) + (target === "attention" ? 0 : parameters.mlp);
            expect(gates.reduce((sum, gate) => sum + gate.parameters, 0)).toBe(layers * each);
          },
        ),
      );
    });
  }
});
