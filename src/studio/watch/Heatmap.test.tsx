import { MantineProvider } from "@mantine/core";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import { layoutGates } from "./gates.ts";
import { cellText, Heatmap, type HeatmapProps } from "./Heatmap.tsx";

const gates: GateInfo[] = [
  { id: 0, layer: 0, column: "attention", matrices: ["q"], parameters: 10 },
  { id: 1, layer: 0, column: "mlp", matrices: ["fc1"], parameters: 10 },
];
const frame: GateFrame = {
  step: 8,
  scores: Float32Array.of(0.04, 0.31),
  open: Uint8Array.of(0, 1),
  sensitivity: Float32Array.of(0.00001, 2),
  deltaNorm: Float32Array.of(0, 0.034),
};

function cells(more: Partial<HeatmapProps>): string[] {
  const markup = renderToStaticMarkup(
    <MantineProvider>
      <Heatmap
        layout={layoutGates(gates)}
        frame={frame}
        open={frame.open}
        metric="score"
        scale={{ max: 0.4, curve: "linear" }}
        tau={0.1}
        selected={null}
        canToggle={false}
        dark={false}
        onPoint={() => {}}
        onPress={() => {}}
        onSelect={() => {}}
        {...more}
      />
    </MantineProvider>,
  );
  return markup.match(/<button.*?<\/button>/gs) ?? [];
}

it("tells open from closed by state, mark and words, not by colour alone", () => {
  const [closed, open] = cells({});
  expect(closed).toContain('aria-label="Layer 1, Attention, closed, score 0.04"');
  expect(closed).toContain('data-state="closed"');
  expect(closed).not.toContain("●");
  expect(open).toContain('aria-label="Layer 1, MLP, open, score 0.31"');
  expect(open).toContain("●");
});

it("is entered by one tab stop", () => {
  expect(cells({}).map((cell) => /tabindex="(-?\d)"/i.exec(cell)?.[1])).toEqual(["0", "-1"]);
  expect(cells({ selected: 1 }).map((cell) => /tabindex="(-?\d)"/i.exec(cell)?.[1])).toEqual(["-1", "0"]);
});

it("offers itself as a switch only when it can be switched", () => {
  for (const cell of cells({})) expect(cell).not.toContain("aria-pressed");
  const [attention, mlp] = cells({ canToggle: true, open: Uint8Array.of(1, 1) });
  expect(attention).toContain('aria-pressed="true"');
  expect(attention).toContain("open, set by hand");
  expect(mlp).not.toContain("set by hand");
});

it("says that nothing is measured yet", () => {
  for (const cell of cells({ frame: null, open: null })) expect(cell).toContain("not measured yet");
});

it("writes each metric in its own way", () => {
  expect(cellText(0.314, "score")).toBe("0.31");
  expect(cellText(-0.18, "score")).toBe("−0.18");
  expect(cellText(-0.001, "score")).toBe("0.00");
  // A closed gate does not read like an open one.
  expect(cellText(0.0968, "score", 0.1)).toBe("0.097");
  expect(cellText(0.1, "score", 0.1)).toBe("0.10");
  expect(cellText(0.034, "change")).toBe("3.4%");
  expect(cellText(0.34, "change")).toBe("34%");
  expect(cellText(0.00001234, "sensitivity")).toBe("1.2e−5");
  expect(cellText(Number.NaN, "score")).toBe("–");
});
