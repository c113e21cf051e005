// The engine's worker begins here, and fetches the engine as a part. Other parts import from that one and never from this
// script: WebKit runs a worker's own script once more when a part imports it, and there would be two engines, of which
// one knows no model.

const early: MessageEvent[] = [];
self.onmessage = (event) => {
  early.push(event);
};

import("./engine_worker.ts").then(
  ({ answer }) => {
    self.onmessage = answer;
    for (const event of early) void answer(event);
  },
  (error: unknown) => {
    // Out of the promise, so that the page hears of it.
    setTimeout(() => {
      throw error;
    });
  },
);

export {};
