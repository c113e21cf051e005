import { expect, test } from "vitest";
import { newer } from "./offline.ts";

const worker = (state: ServiceWorkerState) => ({ state }) as ServiceWorker;

test("a first worker is never offered, whatever a browser calls it on its way", () => {
  for (const state of ["installed", "activating", "activated"] as const) {
    const first = worker(state);
    for (const controlled of [false, true])
      for (const active of [null, first])
        expect(newer({ waiting: first, active }, controlled), state).toBeNull();
  }
  // WebKit: two objects for the same worker, the one that waited and the one at work.
  expect(newer({ waiting: worker("activated"), active: worker("activated") }, true)).toBeNull();
});

test("one that waits behind an older one is offered until it takes over", () => {
  const active = worker("activated");
  const waiting = worker("installed");
  expect(newer({ waiting, active }, true)).toBe(waiting);
  expect(newer({ waiting: worker("activating"), active }, true)).toBeNull();
  expect(newer({ waiting: worker("redundant"), active }, true)).toBeNull();
  expect(newer({ waiting: null, active }, true)).toBeNull();
});

test("a page that came past the old one is the new one", () => {
  expect(newer({ waiting: worker("installed"), active: worker("activated") }, false)).toBeNull();
});
