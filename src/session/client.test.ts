// How calls cross to the engine: many files in portions, calls in their order, a stop in the middle.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connectSession } from "./client.ts";
import type { Portion, Request } from "./messages.ts";
import type { SourceFile } from "./protocol.ts";

let sent: (Request | Portion)[] = [];
let answer: (id: number) => void = () => {};

beforeEach(() => {
  sent = [];
  vi.stubGlobal(
    "Worker",
    class {
      onmessage: ((event: { data: unknown }) => void) | null = null;
      constructor() {
        answer = (id) => this.onmessage?.({ data: { kind: "answer", id, value: "done" } });
      }
      postMessage(message: Request | Portion) {
        sent.push(message);
      }
    },
  );
});
afterEach(() => {
  vi.unstubAllGlobals();
});

const files = (count: number): SourceFile[] =>
  Array.from({ length: count }, (_, i) => ({ path: `a/${i}.png`, blob: new Blob([String(i)]) }));
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const words = () =>
  sent.map((one) =>
    "files" in one ? (one.files ? `${one.id}: ${one.files.length}` : `${one.id}: no`) : one.method,
  );

test("few files go at once, many in portions, a turn between them, and the call after the last", async () => {
  const session = connectSession();
  void session.loadModel(files(3), {});
  expect(words()).toEqual(["loadModel"]);
  void session.loadData("target", "many", files(251), 0);
  await Promise.resolve();
  expect(sent.length).toBeLessThanOrEqual(2);
  await turns(9);
  expect(words()).toEqual(["loadModel", "2: 100", "2: 100", "2: 51", "loadData"]);
  const there = sent.flatMap((one) => ("files" in one ? (one.files ?? []) : []));
  expect(there.map(({ path }) => path)).toEqual(files(251).map(({ path }) => path));
  expect((sent.at(-1) as Request).args).toEqual(["target", "many", [], 0]);
});

test("calls keep their order behind one that is crossing; what must not wait goes ahead", async () => {
  const session = connectSession();
  void session.loadData("target", "many", files(250), 0);
  void session.removeData("set-1");
  void session.pause();
  await turns(9);
  expect(words()).toEqual(["pause", "1: 100", "1: 100", "1: 50", "loadData", "removeData"]);
});

test("a stop ends the call whose files are crossing, and the ones behind it go on", async () => {
  const session = connectSession();
  const loading = session.loadData("target", "many", files(5000), 0);
  void session.removeData("set-1");
  await turns(3);
  void session.stop();
  await expect(loading).rejects.toMatchObject({ parts: { code: "cancelled" } });
  await turns(3);
  expect(words().slice(-2)).toEqual(["1: no", "removeData"]);
  expect(words()).not.toContain("loadData");
});

test("a stop that is meant for the job before leaves what is crossing alone", async () => {
  const session = connectSession();
  const first = session.loadModel(files(2), {});
  void session.loadData("target", "many", files(400), 0);
  await turns(1);
  void session.stop();
  answer(1);
  await first;
  await turns(9);
  expect(words()).toContain("loadData");
});
