// The run's report to take along: one HTML file and a JSON. Pictures go in only if the person says so, since they may
// not be theirs to give away.
import { Button, Checkbox } from "@mantine/core";
import { useState } from "react";
import { nameOfRun } from "../../session/export_name.ts";
import type { RunResult, SetAccuracy } from "../../session/protocol.ts";
import { type ReportPicture, reportOf } from "../../session/report.ts";
import { fetchCredits } from "../files/demo.ts";
import { Panel } from "../shared/Panel.tsx";
import { save } from "../shared/save.ts";
import { useSession, useStudio } from "../state/studio.ts";
import classes from "./ExportPanel.module.css";

/** Most pictures that go into a report, and their longer edge in pixels. */
const PICTURES = { count: 24, edge: 128 };

export function ReportPanel() {
  const { session, runs } = useStudio();
  const result = useSession((state) => state.run.result);
  const [pictures, setPictures] = useState(false);
  const [making, setMaking] = useState(false);
  if (!result) return null;

  async function make(kind: "html" | "json") {
    const { run, model, device, data } = session.getState();
    if (!run.result || !model || !device) return;
    setMaking(true);
    try {
      const kept = runs.getState().runs.find(({ id }) => id === run.id);
      const details = run.id === null ? null : await runs.details(run.id);
      const chosen = pictures && kind === "html" ? await changedPictures(run.result, session.imageUrl) : [];
      const report = reportOf(
        {
          name: kept?.name ?? "Run",
          when: kept?.when ?? Date.now(),
          result: run.result,
          ...{ model, device, data, steps: run.steps, points: run.points },
          path: details?.path ?? [],
          tradeOff: run.tradeOff,
          notes: [...(await licences(model.name)), ...(run.exportReport?.notes ?? [])],
        },
        chosen,
      );
      const type = kind === "html" ? "text/html" : "application/json";
      const target = data.find(({ role }) => role === "target")?.name ?? "";
      const { recipe, final } = run.result;
      save(
        `${nameOfRun(model.name, target, recipe, final.open)}-report.${kind}`,
        new Blob([report[kind]], { type }),
      );
    } catch (error) {
      session.addFailure(error);
    } finally {
      setMaking(false);
    }
  }

  return (
    <Panel
      title="Report"
      help="The run on one page, to read or to keep: results with their intervals, open gates, curves, recipe, data counts, licences. The page needs nothing beside it and asks nobody for anything."
    >
      <div className={classes.panel}>
        <Checkbox
          size="xs"
          label="With pictures whose answer changed (they leave this machine with the file)"
          checked={pictures}
          onChange={(event) => setPictures(event.currentTarget.checked)}
        />
        <div className="row">
          <Button variant="default" disabled={making} onClick={() => make("html")}>
            {making ? "Writing …" : "Report (HTML)"}
          </Button>
          <Button variant="default" disabled={making} onClick={() => make("json")}>
            JSON
          </Button>
        </div>
      </div>
    </Panel>
  );
}

/** Who drew the demo's pictures; of anything else only the person knows. */
async function licences(model: string): Promise<string[]> {
  if (model !== "demo-vit") return ["The images' licences are those of the folders that were loaded."];
  const credits = await fetchCredits().catch(() => []);
  return credits.map(({ title, artist, licence }) => `Pictures of ${title}: ${artist}, ${licence}.`);
}

/** Target images that were fixed or broken, as many of each as there is room for. */
async function changedPictures(
  { before, after }: RunResult,
  url: (set: string, index: number) => Promise<string>,
): Promise<ReportPicture[]> {
  const now = after.sets.find(({ role }) => role === "target");
  const then = before.sets.find(({ id }) => id === now?.id);
  if (!now || !then) return [];
  const right = (set: SetAccuracy, i: number) => set.predictions[i] === set.labels[i];
  const all = Array.from(now.labels, (_, i) => i).filter((i) => right(now, i) !== right(then, i));
  const fixed = all.filter((i) => right(now, i));
  const broken = all.filter((i) => right(then, i));
  const half = PICTURES.count / 2;
  const pictures: ReportPicture[] = [];
  for (const i of [...fixed.slice(0, half), ...broken.slice(0, half)]) {
    const name = (index: number | undefined) => now.names[index ?? -1] ?? "?";
    const caption = `${name(now.labels[i])}: before ${name(then.predictions[i])}, after ${name(now.predictions[i])}`;
    const source = await small(await url(now.id, i)).catch(() => null);
    if (source) pictures.push({ source, caption });
  }
  return pictures;
}

/** A picture at most `PICTURES.edge` pixels wide and high, as a data URL. */
async function small(address: string): Promise<string> {
  const image = new Image();
  image.src = address;
  await image.decode();
  const scale = Math.min(1, PICTURES.edge / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.naturalWidth * scale));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("no canvas");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.85);
}
