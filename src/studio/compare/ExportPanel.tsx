// Taking the weights home: what will be in the files, and, once they are made, what the file itself scores.
import { Button } from "@mantine/core";
import { downloadZip } from "client-zip";
import { useState } from "react";
import type { FailureParts } from "../../failure.ts";
import type { ExportReport, SetAccuracy } from "../../session/protocol.ts";
import { formatBytes, formatCount } from "../shared/format.ts";
import { save } from "../shared/save.ts";
import { percent } from "../watch/format.ts";
import { Term } from "../watch/Term.tsx";
import classes from "./ExportPanel.module.css";

export interface ExportPanelProps {
  /** The target as the studio scores it now; null while there is nothing to export. */
  score: SetAccuracy | null;
  report: ExportReport | null;
  exporting: boolean;
  failure: FailureParts | null;
  /** Whether something else keeps the session busy. */
  busy: boolean;
  /** What the export is called, without an ending. */
  name: string;
  onExport: () => void;
}

const contents = [
  ["model.safetensors", "merged weights, names and number format as in your file"],
  ["config.json", "your classes as id2label, ready for transformers"],
  ["preprocessor_config.json", "how an image is prepared"],
] as const;

export function ExportPanel({ score, report, exporting, failure, busy, name, onExport }: ExportPanelProps) {
  const [packing, setPacking] = useState(false);
  const [unpacked, setUnpacked] = useState<FailureParts | null>(null);

  async function saveAll(files: ExportReport["files"]) {
    setPacking(true);
    setUnpacked(null);
    try {
      // The zip is whole before the browser is given it: what fails here leaves no file.
      const entries = files.map(({ path, blob }) => ({ name: path, input: blob, lastModified: new Date() }));
      save(`${name}.zip`, await downloadZip(entries).blob());
    } catch (error) {
      setUnpacked(cannotPack(error));
    } finally {
      setPacking(false);
    }
  }

  return (
    <div className={classes.panel} aria-live="polite">
      {report ? (
        <>
          <Checked score={score} report={report} />
          {report.notes.map((note) => (
            <p key={note} className={classes.note}>
              {note}
            </p>
          ))}
          <ul className={classes.files}>
            {report.files.map(({ path, blob }) => (
              <li key={path}>
                <span className={classes.path}>{path}</span>
                <span className={classes.size}>{formatBytes(blob.size)}</span>
                <Button
                  size="compact-xs"
                  variant="default"
                  aria-label={`Download ${path}`}
                  onClick={() => save(path.split("/").at(-1)!, blob)}
                >
                  Download
                </Button>
              </li>
            ))}
          </ul>
          <Button size="sm" loading={packing} onClick={() => saveAll(report.files)}>
            Download all as a zip
          </Button>
          {unpacked && <Refusal failure={unpacked} />}
        </>
      ) : (
        <>
          <p className={classes.what}>
            <Term word="merged">Merged weights</Term> as the model's own library reads them. Before they are
            offered, the file is read back and scored.
          </p>
          <ul className={classes.files}>
            {contents.map(([path, what]) => (
              <li key={path}>
                <span className={classes.path}>{path}</span>
                <span className={classes.content}>{what}</span>
              </li>
            ))}
          </ul>
          {failure && !exporting && <Refusal failure={failure} />}
          <Button size="sm" disabled={!score || busy || exporting} onClick={onExport}>
            {exporting ? "Merging, writing, reading back …" : failure ? "Try again" : "Export merged weights"}
          </Button>
          {!score && <p className={classes.hint}>There is something to export once a run has ended.</p>}
        </>
      )}
    </div>
  );
}

function Refusal({ failure: { what, where, remedy } }: { failure: FailureParts }) {
  return (
    <div className={classes.failure} role="alert">
      <strong>{what}</strong>
      {where && <span>{where}</span>}
      <span>{remedy}</span>
    </div>
  );
}

/** Most of an export is copied out of the model's own file, which may have changed or gone since. */
function cannotPack(error: unknown): FailureParts {
  return {
    code: "bad-file",
    what: "The zip could not be made, and nothing was saved.",
    where: error instanceof Error ? error.message : String(error),
    remedy:
      "Check that the model's own files are where they were, and that there is room on the disk; then export again.",
  };
}

function Checked({ score, report }: { score: SetAccuracy | null; report: ExportReport }) {
  const { check, changed, total } = report;
  const same = score !== null && score.correct === check.correct && score.count === check.count;
  return (
    <dl className={classes.checked} data-same={same || undefined}>
      <dt>The file, read back</dt>
      <dd>{percent(check.accuracy)}</dd>
      <dt>The studio</dt>
      <dd>{score ? percent(score.accuracy) : "–"}</dd>
      <dt className={classes.verdict}>
        {same
          ? `✓ The same score: ${formatCount(check.correct)} of ${formatCount(check.count)} right on the target.`
          : `The file gets ${formatCount(check.correct)} of ${formatCount(check.count)} right${
              score ? `, the studio ${formatCount(score.correct)}` : ""
            }: rounding to the file's number format can tip a few answers.`}
      </dt>
      <dt>Tensors that changed</dt>
      <dd>
        {formatCount(changed)} of {formatCount(total)}
      </dd>
    </dl>
  );
}
