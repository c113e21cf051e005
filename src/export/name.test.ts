// Names of exported files: what a person reads in them, and what no file system or shell stumbles over.
import fc from "fast-check";
import { expect, test } from "vitest";
import { exportName } from "./name.ts";

const about = { model: "DeiT-Tiny", data: "clothing", method: "selective", open: 2, gates: 24 };

test.each([
  [about, "deit-tiny-clothing-selective-2of24"],
  [{ ...about, method: "linear", gates: 0 }, "deit-tiny-clothing-linear"],
  [{ ...about, model: "google/vit_base.patch16 (2)" }, "google-vit-base-patch16-2-clothing-selective-2of24"],
  [{ ...about, data: "Vögel & Fische" }, "deit-tiny-vögel-fische-selective-2of24"],
  [{ ...about, data: "猫と犬" }, "deit-tiny-猫と犬-selective-2of24"],
  [{ ...about, data: "../../etc\0/\u202egpj.\u200b" }, "deit-tiny-etc-gpj-selective-2of24"],
  [{ ...about, model: "***", data: "" }, "model-data-selective-2of24"],
])("%o", (parts, name) => {
  expect(exportName(parts)).toBe(name);
});

test("any words make a name that every file system takes", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.string({ maxLength: 300 }),
      (model, data) => {
        const name = exportName({ ...about, model, data });
        expect(name).toMatch(/^[\p{L}\p{M}\p{N}-]+-2of24$/u);
        expect(new TextEncoder().encode(`${name}-report.html`).length).toBeLessThan(255);
      },
    ),
    { numRuns: 500 },
  );
});
