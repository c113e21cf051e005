// The results before there are any: what will be compared, and what can be taken home. Apart from Compare, so that a
// first page need not wait for all that is drawn of a run.
import { Panel } from "../shared/Panel.tsx";
import { words } from "../watch/words.ts";
import { ExportPanel } from "./ExportPanel.tsx";
import classes from "./NoResults.module.css";

export function NoResults() {
  return (
    <div className={classes.results}>
      <Panel
        title="Before and after"
        help="Accuracy on held-out images, with the probable range of its true value."
      >
        <Lesson />
      </Panel>
      <Panel title="Export" help={words.merged}>
        <ExportPanel
          score={null}
          report={null}
          name="model"
          exporting={false}
          failure={null}
          busy
          onExport={() => {}}
        />
      </Panel>
    </div>
  );
}

function Lesson() {
  return (
    <ul className={classes.lesson}>
      <li>
        <strong>Target</strong>
        <span>{words.target}</span>
      </li>
      <li>
        <strong>OOD</strong>
        <span>{words.ood}</span>
      </li>
      <li>
        <strong>Retention</strong>
        <span>{words.retention}</span>
      </li>
    </ul>
  );
}
