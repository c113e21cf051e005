import { expect, test } from "vitest";
import type { Loss } from "../state/session_store.ts";
import { lossWords } from "./loss.ts";

const lost: Loss = {
  what: "The graphics device was lost: the driver was reset.",
  times: 1,
  device: "open",
  onCpu: false,
  refusal: null,
  broke: null,
  runBack: null,
};
const refusal = { code: "gpu", what: "This browser offers no WebGPU adapter.", remedy: "" } as const;

// What was going on, whether a run is offered to go on with, what is said, and which buttons stand there.
const table: [string, Partial<Loss>, boolean, string, string][] = [
  [
    "being opened",
    { device: "opening" },
    false,
    "It is being opened anew; everything you loaded is still there.",
    "",
  ],
  ["nothing going on", {}, false, "It is open again. Everything you loaded is still there.", ""],
  ["a run", { broke: "run" }, true, "It is open again. Go on with the run just below.", ""],
  [
    "a run after another",
    { broke: "run", runBack: true },
    true,
    "It is open again. Go on with the run just below. The run before it is as it was.",
    "",
  ],
  [
    "idle after a run",
    { runBack: true },
    false,
    "It is open again. Your run is as it was, with its blocks and its export.",
    "",
  ],
  [
    "a toggle or an export",
    { broke: "wish", runBack: true },
    false,
    "It is open again. Your run is as it was, with its blocks and its export. What you had asked for was not finished; ask for it once more.",
    "",
  ],
  [
    "a run that is not kept",
    { runBack: false },
    true,
    "It is open again. Go on with the run just below.",
    "",
  ],
  [
    "the third time",
    { broke: "run", times: 3 },
    true,
    "It is open again. Go on with the run just below. If that goes on, compute on the CPU: slower, but safe from this.",
    "wasm",
  ],
  [
    "none left but the CPU",
    { runBack: true, times: 3, onCpu: true },
    false,
    "No other could be opened, so the CPU computes from here on. Your run is as it was, with its blocks and its export.",
    "",
  ],
  [
    "no device any more",
    { device: "none", refusal },
    false,
    "Compute on the CPU, which is slower but safe from this, or try the graphics device once more. Everything you loaded is still there.",
    "wasm again",
  ],
];

test.each(table)("%s", (_, state, offered, remedy, buttons) => {
  const words = lossWords({ ...lost, ...state }, offered);
  expect(words.remedy).toBe(remedy);
  expect(
    Object.entries(words.offers)
      .filter(([, shown]) => shown)
      .map(([name]) => name)
      .join(" "),
  ).toBe(buttons);
  // Only what needs no answer can be put away.
  expect(words.dismissable).toBe((state.device ?? "open") === "open");
});

test("what happened is one sentence, and says how often and why there is no other device", () => {
  expect(lossWords(lost, false).what).toBe(lost.what);
  expect(lossWords({ ...lost, times: 2 }, false).what).toBe(
    `${lost.what} This was the second time in a row.`,
  );
  expect(lossWords({ ...lost, device: "none", refusal }, false).what).toBe(
    `${lost.what} It cannot be opened anew: This browser offers no WebGPU adapter.`,
  );
  expect(lossWords({ ...lost, times: 4, device: "none" }, false).what).toBe(
    `${lost.what} This was the fourth time in a row. It is not opened again by itself.`,
  );
});
