import { expect, test } from "vitest";
import { readSnapshot, writeSnapshot } from "./snapshot_file.ts";
import type { TrainerSnapshot } from "./types.ts";

const saved = (...data: number[]) => ({ shape: [data.length], data: Float32Array.from(data) });
const snapshot: TrainerSnapshot = {
  version: 1,
  step: 7,
  adaptation: {
    tensors: { "layer.0.o.lora_A": saved(1 / 3, -0, Number.MIN_VALUE), scores: saved(0.1) },
    sensitivitySteps: 3,
    frozen: Uint8Array.of(1, 0, 1),
  },
  head: { weight: saved(1e-30, 2), bias: saved() },
  probe: { weight: Float32Array.of(5, 6), bias: Float32Array.of(7), classes: 1, unit: true },
  optimiser: { steps: 7, moments: { "0/m": saved(0.3) } },
};

test("a snapshot comes back as it was, to the last bit", async () => {
  expect(await readSnapshot(writeSnapshot(snapshot))).toEqual(snapshot);
  const open = { ...snapshot, adaptation: { ...snapshot.adaptation, frozen: null } };
  expect((await readSnapshot(writeSnapshot(open))).adaptation.frozen).toBeNull();
});

test("half of it, another file and another structure are refused", async () => {
  const whole = writeSnapshot(snapshot);
  const refused = async (file: Blob) =>
    expect(readSnapshot(file)).rejects.toMatchObject({ parts: { code: "bad-file", where: "the saved run" } });
  await refused(whole.slice(0, whole.size - 4));
  await refused(new Blob(["nothing of the kind"]));
  await refused(writeSnapshot({ ...snapshot, step: -1 }));
  await refused(writeSnapshot({ ...snapshot, head: { weight: { shape: [1] } } } as never));
  const text = await whole.text();
  await refused(new Blob([text.replace("selora-snapshot", "another-snapsho")]));
});
