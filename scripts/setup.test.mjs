import { expect, test } from "vitest";
import { incomplete, notTried } from "./setup.mjs";

test("an engine is whole only with every program it needs", () => {
  expect(incomplete(() => true)).toEqual([]);
  const lacking = (gone) =>
    incomplete((path) => !path.endsWith(gone)).map(({ name, lacks }) => [name, lacks]);
  expect(lacking("Xvfb")).toEqual([["WebKit", ["/usr/bin/Xvfb"]]]);
  expect(lacking("firefox-esr")).toEqual([["Firefox", ["/usr/bin/firefox-esr"]]]);
});

test("what was not tried is told of once, and what passed or failed is not", () => {
  const spec = (title, status, description) => ({
    title,
    tests: [{ status, annotations: description ? [{ type: "skip", description }] : [] }],
  });
  const report = {
    suites: [
      {
        specs: [spec("a", "expected")],
        suites: [
          {
            specs: [
              spec("journey", "skipped", "WebKit: Xvfb is not there"),
              spec("pixels", "skipped", "WebKit: Xvfb is not there"),
              spec("failed", "unexpected"),
            ],
          },
          { specs: [spec("no reason", "skipped")] },
        ],
      },
    ],
  };
  expect(notTried(report)).toEqual(["WebKit: Xvfb is not there", "no reason"]);
});
