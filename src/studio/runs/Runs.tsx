// The kept runs on one page: the list, and under it whatever is compared.
import { Button, useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo } from "react";
import type { RunRecord } from "../../session/run_record.ts";
import { plural } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import { save } from "../shared/save.ts";
import { useRunner, useRuns, useStudio } from "../state/studio.ts";
import { Comparison } from "./Comparison.tsx";
import { runsJson } from "./comparison.ts";
import { Note } from "./KeptNote.tsx";
import classes from "./Runs.module.css";
import { RunsTable } from "./RunsTable.tsx";
import { Storage } from "./Storage.tsx";

/** @param onOpened called once a run was taken up again, so that the page can turn to it */
export function Runs({ onOpened }: { onOpened: () => void }) {
  const { runs: store } = useStudio();
  const runs = useRuns((state) => state.runs);
  const compared = useRuns((state) => state.compared);
  const problems = useRuns((state) => state.problems);
  const unstored = useRuns((state) => state.unstored);
  const refused = useRuns((state) => state.refused);
  const failed = useRunner((state) => state.failed);
  const loaded = useRuns((state) => state.loaded);
  const dark = useComputedColorScheme("light") === "dark";
  const chosen = useMemo(
    () =>
      compared.flatMap((id): RunRecord[] => {
        const run = runs.find((one) => one.id === id);
        return run ? [run] : [];
      }),
    [runs, compared],
  );

  function download() {
    const known = store.unwritten().map(({ record, details }) => ({ run: record, details: details ?? null }));
    save("runs.json", new Blob([runsJson(known)], { type: "application/json" }));
  }

  // The last runs are compared until others are chosen.
  useEffect(() => {
    void store.load().then(() => {
      const { compared: already, runs: all } = store.getState();
      if (already.length > 0 || all.length === 0) return;
      const series = all[0]?.series?.id;
      const last = series ? all.filter((run) => run.series?.id === series) : all.slice(0, 2);
      void store.compare(last.map(({ id }) => id));
    });
  }, [store]);

  return (
    <div className={classes.runs}>
      <Panel
        title="Runs"
        help="Every run that ended is kept here, in this browser alone. Choose some to compare them below."
        actions={<Storage />}
      >
        {problems.map((text) => (
          <p key={text} className={classes.problem} role="alert">
            {text}
          </p>
        ))}
        {refused && (
          <Note
            title={unstored.size > 0 ? `${plural(unstored.size, "run")} not stored` : "Runs are not kept"}
            parts={refused}
          >
            {unstored.size > 0 && (
              <>
                <Button variant="default" onClick={download}>
                  Download {unstored.size === 1 ? "it" : "them"}
                </Button>
                <Button variant="default" onClick={() => store.storeAgain()}>
                  Try again
                </Button>
              </>
            )}
          </Note>
        )}
        {loaded && runs.length === 0 && failed.length === 0 ? (
          <div className={classes.empty}>
            <p>
              No run is kept yet. Press Start, and each run that ends will stand here: what it reached, and
              with which recipe.
            </p>
            <p className="dim">
              Give a number of seeds beside Start for mean and spread, or press Suite for the standard
              line-up: every method once, selective at three budgets.
            </p>
          </div>
        ) : (
          <RunsTable runs={runs} failed={failed} compared={compared} dark={dark} onOpened={onOpened} />
        )}
      </Panel>
      {chosen.length > 0 && <Comparison runs={chosen} dark={dark} />}
    </div>
  );
}
