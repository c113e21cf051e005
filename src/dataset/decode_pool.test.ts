import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { cutImage } from "./cut.ts";
import { type DecoderWorker, type FromDecoder, pooled, poolSize, type ToDecoder } from "./decode_pool.ts";
import { MAX_PIXELS } from "./header.ts";
import type { DecodeImage, ImageCut, RgbImage } from "./types.ts";

const spec: ImageCut["spec"] = {
  resize: { mode: "shortest", edge: 4 },
  crop: { height: 4, width: 4 },
  interpolation: "bilinear",
};
const input: ImageCut = { kind: "input", spec };
/** A picture by the number it is named by. */
const picture = (path: string): RgbImage => ({
  width: 6,
  height: 5,
  data: Uint8Array.from({ length: 90 }, (_, i) => (i * 7 + Number(path)) & 255),
});
const here: DecodeImage = async (_, path) => picture(path);
const blob = new Blob(["x"]);
const later = () => new Promise<void>((resolve) => setTimeout(resolve));

/** A worker that answers in a later turn as `work` says, and what it was told. */
function fakeWorker(work: (message: ToDecoder, answer: (message: FromDecoder) => void) => void) {
  const told: ToDecoder[] = [];
  let ended = false;
  const worker: DecoderWorker = {
    onmessage: null,
    onerror: null,
    terminate: () => {
      ended = true;
    },
    postMessage(message) {
      told.push(message);
      const answer = (data: FromDecoder) => {
        if (!ended) worker.onmessage?.({ data } as MessageEvent<FromDecoder>);
      };
      setTimeout(() => work(message, answer));
    },
  };
  return { worker, told, isEnded: () => ended };
}
const decodes = () =>
  fakeWorker((message, answer) => {
    if (message.kind === "decode")
      answer({ kind: "image", id: message.id, image: cutImage(picture(message.path), message.cut) });
  });

test("pictures go to the worker with the least to do, and come back as this thread would have made them", async () => {
  const workers = [decodes(), decodes(), decodes()];
  let started = 0;
  const decode = pooled(here, () => (workers[started++] as (typeof workers)[number]).worker, 2);
  const paths = ["1", "2", "3", "4", "5", "6"];
  const crops: ImageCut = { kind: "crop-source", spec };
  for (const cut of [input, crops])
    expect(await Promise.all(paths.map((path) => decode.cut?.(blob, path, cut)))).toEqual(
      paths.map((path) => cutImage(picture(path), cut)),
    );
  expect(started).toBe(2);
  expect(workers.map(({ told }) => told.length)).toEqual([6, 6, 0]);
  // What is whole is asked for in this thread.
  expect(await decode(blob, "7")).toEqual(picture("7"));
});

test("a worker is started when the first picture is asked for, and one that is idle is used again", async () => {
  let started = 0;
  const decode = pooled(
    here,
    () => {
      started++;
      return decodes().worker;
    },
    4,
  );
  expect(started).toBe(0);
  for (const path of ["1", "2", "3"]) await decode.cut?.(blob, path, input);
  expect(started).toBe(1);
});

test("what is wrong with a file is its own, and the pool goes on", async () => {
  const { worker } = fakeWorker((message, answer) => {
    if (message.kind !== "decode") return;
    const failure = { code: "bad-file" as const, what: "Damaged.", remedy: "Replace it." };
    if (message.path === "2") answer({ kind: "failed", id: message.id, failure });
    else answer({ kind: "image", id: message.id, image: cutImage(picture(message.path), input) });
  });
  const decode = pooled(here, () => worker, 1);
  await expect(decode.cut?.(blob, "2", input)).rejects.toMatchObject({ parts: { code: "bad-file" } });
  expect(await decode.cut?.(blob, "3", input)).toEqual(cutImage(picture("3"), input));
});

test("where workers die, or cannot be started, every picture is made in this thread", async () => {
  const { worker, isEnded } = fakeWorker(() => {});
  const dies = pooled(here, () => worker, 1);
  const both = [dies.cut?.(blob, "1", input), dies.cut?.(blob, "2", input)];
  await later();
  worker.onerror?.({} as ErrorEvent);
  expect(await Promise.all(both)).toEqual(["1", "2"].map((path) => cutImage(picture(path), input)));
  expect(isEnded()).toBe(true);
  expect(await dies.cut?.(blob, "3", input)).toEqual(cutImage(picture("3"), input));

  const refuses = () => {
    throw new Error("no workers here");
  };
  expect(await pooled(here, refuses, 2).cut?.(blob, "4", input)).toEqual(cutImage(picture("4"), input));
  expect(await pooled(here, refuses, 0).cut?.(blob, "5", input)).toEqual(cutImage(picture("5"), input));
  // A fault of the file stays one.
  const bad: DecodeImage = async () => {
    throw new Failure({ code: "bad-file", what: "x", remedy: "y" });
  };
  await expect(pooled(bad, refuses, 2).cut?.(blob, "6", input)).rejects.toBeInstanceOf(Failure);
});

test("big images wait for each other, whichever worker they are in, and one that fails lets the next go on", async () => {
  let under = 0;
  let most = 0;
  const asks = () =>
    fakeWorker((message, answer) => {
      const { id } = message;
      if (message.kind === "decode") return answer({ kind: "needs", id, pixels: MAX_PIXELS * 0.6 });
      most = Math.max(most, ++under);
      setTimeout(() => {
        under--;
        if (id === 2)
          answer({ kind: "failed", id, failure: { code: "bad-file", what: "Damaged.", remedy: "x" } });
        else answer({ kind: "image", id, image: cutImage(picture("1"), input) });
      }, 5);
    });
  const decode = pooled(here, () => asks().worker, 4);
  const all = await Promise.allSettled([1, 2, 3, 4].map((n) => decode.cut?.(blob, String(n), input)));
  expect(all.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
  expect(most).toBe(1);
});

test("the engine has a core to itself, and four workers are enough", () => {
  expect([1, 2, 4, 5, 64].map(poolSize)).toEqual([0, 1, 3, 4, 4]);
});
