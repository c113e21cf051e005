import { MantineProvider } from "@mantine/core";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import type { Evaluation, ExportReport, SetAccuracy, SetRole } from "../../session/protocol.ts";
import { ExportPanel, type ExportPanelProps } from "./ExportPanel.tsx";
import { FrequentPairs, type FrequentPairsProps } from "./FrequentPairs.tsx";
import { Scoreboard, type ScoreboardProps } from "./Scoreboard.tsx";
import { SetsTable } from "./SetsTable.tsx";
import { setRows } from "./scores.ts";
import { setAccuracy } from "./testing.ts";

function set(id: string, role: SetRole, correct: number): SetAccuracy {
  return setAccuracy({ id, role, name: id, count: 200, correct, accuracy: correct / 200 });
}

const evaluation = (...sets: SetAccuracy[]): Evaluation => ({ sets, open: new Uint8Array(), strength: 1 });

/** What a person reads, tags left out. */
function read(markup: string): string {
  return markup
    .replace(/<style.*?<\/style>|<script.*?<\/script>/g, "")
    .replace(/<[^>]+>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

const shown = (node: React.ReactNode) =>
  read(renderToStaticMarkup(<MantineProvider>{node}</MantineProvider>));

describe("Scoreboard", () => {
  const board = (more: Partial<ScoreboardProps>) =>
    shown(
      <Scoreboard before={null} current={null} openCount={null} gateCount={null} points={[]} {...more} />,
    );

  it("shows dashes while nothing is known", () => {
    expect(board({})).toBe("Target – OOD – Retention – Open blocks –");
  });

  it("shows each value with its change since before", () => {
    const before = evaluation(set("t", "target", 120), set("a", "ood", 100), set("b", "ood", 60));
    const current = evaluation(set("t", "target", 160), set("a", "ood", 90), set("b", "ood", 60));
    expect(board({ before, current, openCount: 3, gateCount: 24 })).toBe(
      "Target 80.0% ▲ +20.0 points since before OOD 37.5% ▼ −2.5 points since before, within chance " +
        "Retention – Open blocks 3 of 24",
    );
  });

  it("says what a live value stands on, and compares it with the same images", () => {
    const before = evaluation(set("t", "target", 120));
    const basis = { images: "validation" as const, count: 100, of: 100 };
    const one = { id: "t", role: "target" as const, name: "t", accuracy: 0.7, before: 0.5, basis };
    const points = [{ step: 4, epoch: 1, sets: [one] }];
    expect(board({ before, points })).toContain("Target , validation 70.0% ▲ +20.0");
    expect(board({ before, points, current: before })).toContain("Target 60.0% 0.0");
  });
});

describe("SetsTable", () => {
  const table = (balanced: number) => {
    const one = (correct: number, even: number) =>
      evaluation({ ...set("t", "target", correct), interval: [0.5, 0.9], balanced: even });
    const rows = setRows(one(120, 0.55), one(160, balanced), null, []);
    const props = { adjusting: false, colours: new Map(), chosen: null, onChoose: () => {} };
    return shown(<SetsTable rows={rows} {...props} />);
  };

  it("puts the balanced accuracy beside an accuracy whose interval does not hold it, and there alone", () => {
    expect(table(0.25)).toContain("balanced 55.0% 25.0% ▼ −30.0");
    expect(table(0.51)).not.toContain("balanced");
  });

  const live = (accuracy: number, pairs: { fixed: number; broken: number }) => {
    const basis = { images: "sample" as const, count: 64, of: 200 };
    const one = { id: "t", role: "target" as const, name: "t", accuracy, before: 0.5, basis, pairs };
    const points = [{ step: 4, epoch: 1, sets: [one] }];
    const rows = setRows(evaluation(set("t", "target", 120)), null, null, points);
    return renderToStaticMarkup(
      <MantineProvider>
        <SetsTable rows={rows} adjusting={false} colours={new Map()} chosen={null} onChoose={() => {}} />
      </MantineProvider>,
    );
  };

  it("stands on the same images in every column while a run is on, and names them", () => {
    const text = read(live(0.59375, { fixed: 7, broken: 1 }));
    expect(text).toContain("t 50.0% 59.4% ▲ +9.4");
    expect(text).toContain("64 of 200 images");
    expect(text).not.toContain("60.0%");
  });

  it("gives no colour to a change that chance may give", () => {
    expect(live(0.59375, { fixed: 14, broken: 8 })).toContain('data-sign="none"');
    expect(live(0.59375, { fixed: 6, broken: 0 })).toContain('data-sign="up"');
    expect(live(0.40625, { fixed: 0, broken: 6 })).toContain('data-sign="down"');
  });
});

describe("FrequentPairs", () => {
  const pairs = (more: Partial<FrequentPairsProps>) =>
    shown(
      <FrequentPairs
        rows={Int32Array.of(0, 1, 1, 2)}
        predictions={Int32Array.of(0, 2, 2, 0)}
        names={["cat", "dog", "fox"]}
        of="before"
        onCell={() => {}}
        {...more}
      />,
    );

  it("lists which answers became which, most images first", () => {
    expect(pairs({})).toBe("Before Now Images dog fox 2 fox cat 1");
    expect(pairs({ of: "label" })).toMatch(/^True class Answer/);
  });

  it("says so where nothing differs", () => {
    expect(pairs({ predictions: Int32Array.of(0, 1, 1, 2) })).toBe("Every answer is what it was before.");
    expect(pairs({ predictions: Int32Array.of(0, 1, 1, 2), of: "label" })).toContain("No mistake");
  });
});

describe("ExportPanel", () => {
  const report = (correct: number): ExportReport => ({
    files: [{ path: "model.safetensors", blob: new Blob(["12345"]) }],
    check: set("t", "target", correct),
    changed: 26,
    total: 200,
    notes: ["The distillation head is left out."],
  });
  const panel = (more: Partial<ExportPanelProps>) =>
    shown(
      <ExportPanel
        score={set("t", "target", 160)}
        report={null}
        exporting={false}
        failure={null}
        busy={false}
        name="vit-pets-selective-2of4"
        onExport={() => {}}
        {...more}
      />,
    );

  it("says whether the file read back scores what the studio scores", () => {
    const same = panel({ report: report(160) });
    expect(same).toContain("The same score: 160 of 200 right");
    expect(same).toContain("26 of 200");
    expect(same).toContain("model.safetensors 5 B Download");
    expect(same).toContain("The distillation head is left out.");
    const other = panel({ report: report(157) });
    expect(other).toContain("157 of 200 right, the studio 160");
    expect(other).not.toContain("The same score");
  });

  it("offers no file that was not read back", () => {
    expect(panel({})).not.toContain("Download");
    expect(panel({ exporting: true })).toContain("reading back");
  });

  it("says what went wrong and what to do", () => {
    const failure = {
      code: "state",
      what: "It broke.",
      where: "head.weight",
      remedy: "Export again.",
    } as const;
    const text = panel({ failure });
    expect(text).toContain("It broke. head.weight Export again.");
    expect(text).toContain("Try again");
  });
});
