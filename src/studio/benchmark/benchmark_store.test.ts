// The benchmark's page without its looks: what it chooses, what it leaves out, how it ends.
import { expect, it } from "vitest";
import type { Place } from "../../session/benchmark/places.ts";
import type { Host, Task } from "../../session/benchmark/protocol.ts";
import { countOf, createBenchmarkStore, tooBig } from "./benchmark_store.ts";

const gpu: Place = { compute: "webgpu", name: "A GPU", onCpu: false, largest: 128 * 2 ** 20 };
const cpu: Place = { compute: "wasm", name: "the CPU", onCpu: true, largest: 2 ** 31 };

/** A host of steps that take 10 ms, or one that fails. */
function hostOf(open: (task: Task) => void, ended: () => void): Host {
  return {
    async open(task) {
      open(task);
      return {
        adapter: "An adapter",
        step: async () => ({ milliseconds: 10, cpuMilliseconds: null, loss: 2 }),
        inspect: async () => ({ phases: null, dispatches: 5, kernels: [], bytes: 10, newBuffers: 0 }),
        peak: async () => 1e9,
        close: async () => {},
      };
    },
    end: ended,
  };
}

it("takes a GPU where there is one, and the CPU where the only adapter runs on it", async () => {
  for (const [places, expected] of [
    [[gpu, cpu], "webgpu"],
    [[{ ...gpu, onCpu: true }, cpu], "wasm"],
    [[cpu], "wasm"],
  ] as const) {
    const store = createBenchmarkStore(
      async () => [...places],
      () =>
        hostOf(
          () => {},
          () => {},
        ),
    );
    await store.look();
    expect(store.getState().wishes.computes).toEqual([expected]);
  }
});

it("leaves out what the place cannot, says why with numbers, and measures the rest", async () => {
  const opened: string[] = [];
  const store = createBenchmarkStore(
    async () => [gpu, cpu],
    () =>
      hostOf(
        ({ model, compute }) => opened.push(`${model} ${compute}`),
        () => {},
      ),
  );
  await store.look();
  store.wish({ models: ["demo", "vit-b"], batch: 64, computes: ["webgpu", "wasm"], peers: [], runs: 1 });
  const { wishes } = store.getState();
  const left = tooBig(wishes, [gpu, cpu]);
  expect(left.map(({ model, compute }) => `${model} ${compute}`)).toEqual(["vit-b webgpu", "vit-b wasm"]);
  expect(left[0]?.why).toMatch(/154,927,104 bytes; A GPU binds at most 134,217,728/);
  expect(left[1]?.why).toMatch(/a single step takes about \d+ s at batch 64/);
  expect(countOf(wishes, [gpu, cpu])).toBe(2);
  await store.start();
  expect(new Set(opened)).toEqual(new Set(["demo webgpu", "demo wasm"]));
  expect(store.getState()).toMatchObject({ running: false, ended: "done", failures: [] });
  expect(store.getState().lines.length).toBeGreaterThan(4);
});

it("does not start while a run holds the lock that every tab trains under", async () => {
  const asked: string[] = [];
  const locks = {
    request: (name: string, _: LockOptions, work: LockGrantedCallback<unknown>) => {
      asked.push(name);
      return Promise.resolve().then(() => work(null));
    },
  } as unknown as LockManager;
  let started = 0;
  const connect = () => {
    started += 1;
    return hostOf(
      () => {},
      () => {},
    );
  };
  const store = createBenchmarkStore(async () => [cpu], connect, locks);
  await store.look();
  await store.start();
  expect(asked).toEqual(["selora-trainer"]);
  expect(started).toBe(0);
  expect(store.getState()).toMatchObject({ running: false, ended: null });
  expect(store.getState().failures[0]?.parts.what).toMatch(/training in another tab/);
});

it("goes on after a model that fails, and keeps what was measured when it is cancelled", async () => {
  let [started, ended] = [0, 0];
  const store = createBenchmarkStore(
    async () => [gpu, cpu],
    () => {
      started += 1;
      return hostOf(
        ({ compute, mode }) => {
          if (compute === "webgpu") throw new Error("no memory");
          if (mode === "inference") store.cancel();
        },
        () => {
          ended += 1;
        },
      );
    },
  );
  await store.look();
  store.wish({ computes: ["webgpu", "wasm"], peers: [], runs: 1 });
  await store.start();
  const { failures, lines, ended: how } = store.getState();
  expect(failures.map(({ about }) => about)).toEqual(["The demo's ViT 96/12/3 at 64/8 on WebGPU"]);
  expect(failures[0]?.parts.what).toMatch(/no memory/);
  expect(how).toBe("cancelled");
  expect(lines.some(({ what }) => what === "training step")).toBe(true);
  expect(ended).toBe(started);
});
