// The list of kept runs: what each reached, chosen, renamed, tagged, coloured, opened again or deleted from here.
import { ActionIcon, Button, Checkbox, Menu, TextInput, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useRef, useState } from "react";
import type { SetRole } from "../../session/protocol.ts";
import type { RunRecord } from "../../session/run_record.ts";
import { formatCount, formatDuration, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import type { RunnerState } from "../state/runner.ts";
import { comparedLimit } from "../state/runs_store.ts";
import { useRuns, useSession, useStudio } from "../state/studio.ts";
import { percent, pointsChange, shownChange } from "../watch/format.ts";
import { roleNames } from "../watch/sets.ts";
import { colourNames, runColour } from "./colours.ts";
import { roleScore } from "./comparison.ts";
import classes from "./Runs.module.css";

const roles: readonly SetRole[] = ["target", "ood", "retention"];
/** Rows shown at first, and more at a time. */
const PAGE = 50;
/** Time in which a deletion can be taken back. */
const UNDO_MS = 10_000;

interface RunsTableProps {
  runs: readonly RunRecord[];
  failed: RunnerState["failed"];
  compared: readonly string[];
  dark: boolean;
  onOpened: () => void;
}

export function RunsTable({ runs, failed, compared, dark, onOpened }: RunsTableProps) {
  const { runs: store } = useStudio();
  const [shown, setShown] = useState(PAGE);
  const [wanted, setWanted] = useState("");
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = runs.filter((run) => {
    const text = [run.name, ...run.tags, run.recipe.method, run.series?.name ?? "", run.model.name];
    const all = text.join(" ").toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const toggle = (id: string) =>
    void store.compare(compared.includes(id) ? compared.filter((one) => one !== id) : [...compared, id]);

  function remove(ids: readonly string[]) {
    store.remove(ids);
    const notice = `removed-${ids[0]}`;
    notifications.show({
      id: notice,
      autoClose: UNDO_MS,
      onClose: () => void store.forgetRemoved(ids),
      message: (
        <span className="row">
          <span className="grow">{plural(ids.length, "run")} deleted.</span>
          <Button
            variant="default"
            onClick={() => {
              store.putBack(ids);
              notifications.hide(notice);
            }}
          >
            Undo
          </Button>
        </span>
      ),
    });
  }

  return (
    <>
      <div className={classes.tools}>
        {runs.length > 8 && (
          <TextInput
            aria-label="Find runs"
            placeholder="Find by name, tag, method"
            leftSection={<Icon name="search" />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
        )}
        <span className="dim">
          {words.length > 0 && `${formatCount(found.length)} of `}
          {plural(runs.length, "run")}
          {compared.length > 0 && `, ${compared.length} compared (at most ${comparedLimit})`}
        </span>
        {compared.length > 0 && (
          <span className={classes.right}>
            <Button variant="subtle" onClick={() => void store.compare([])}>
              Compare none
            </Button>
            <Button variant="subtle" color="red" onClick={() => remove(compared)}>
              Delete these {compared.length > 1 && compared.length}
            </Button>
          </span>
        )}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard */}
      <section className={classes.scroll} aria-label="List of runs" tabIndex={0}>
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">
                <span className="unseen">Compare</span>
              </th>
              <th scope="col">Run</th>
              {roles.map((role) => (
                <th key={role} scope="col" className={classes.number}>
                  {roleNames[role]}
                </th>
              ))}
              <th scope="col" className={classes.number}>
                Open
              </th>
              <th scope="col" className={classes.number}>
                Took
              </th>
              <th scope="col">Ended</th>
              <th scope="col">
                <span className="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            <FailedRows failed={failed} />
            {found.slice(0, shown).map((run) => (
              <Row
                key={run.id}
                run={run}
                chosen={compared.includes(run.id)}
                dark={dark}
                onToggle={() => toggle(run.id)}
                onRemove={() => remove([run.id])}
                onOpened={onOpened}
              />
            ))}
          </tbody>
        </table>
      </section>
      {found.length > shown && (
        <Button variant="default" onClick={() => setShown(shown + PAGE)}>
          Show {Math.min(PAGE, found.length - shown)} more
        </Button>
      )}
    </>
  );
}

/** Runs of the last row of runs that failed, and why; they are told of until another row starts. */
export function FailedRows({ failed }: { failed: RunnerState["failed"] }) {
  return failed.map(({ name, text }) => (
    <tr key={`${name}: ${text}`}>
      <td />
      <th scope="row">
        <span className={classes.name}>
          <span className="clip" title={name}>
            {name}
          </span>
          <span className={classes.tag}>failed</span>
        </span>
      </th>
      <td className={classes.why} colSpan={7}>
        {text}
      </td>
    </tr>
  ));
}

interface RowProps {
  run: RunRecord;
  chosen: boolean;
  dark: boolean;
  onToggle: () => void;
  onRemove: () => void;
  onOpened: () => void;
}

function Row({ run, chosen, dark, onToggle, onRemove, onOpened }: RowProps) {
  const { runs: store, recipe, sitting } = useStudio();
  const openable = useRuns((state) => state.openable.has(run.id));
  const unstored = useRuns((state) => state.unstored.has(run.id));
  const current = useSession((state) => state.run.id === run.id);
  const busy = useSession((state) => state.running || state.model === null || state.reading.length > 0);
  const [editing, setEditing] = useState<"name" | "tags" | null>(null);
  // The menu gives the focus back when it closes; the field takes it after that.
  const wish = useRef<"name" | "tags" | null>(null);
  const wishFor = (what: "name" | "tags") => {
    wish.current = what;
  };

  function put(text: string) {
    if (editing === "name" && text.trim()) void store.change(run.id, { name: text.trim().slice(0, 200) });
    if (editing === "tags") {
      const tags = text.split(/[,\s]+/).filter(Boolean);
      void store.change(run.id, { tags: [...new Set(tags.map((tag) => tag.slice(0, 40)))].slice(0, 20) });
    }
    setEditing(null);
  }

  return (
    <tr data-chosen={chosen || undefined}>
      <td>
        <Checkbox
          size="xs"
          color={runColour(run.colour, dark)}
          checked={chosen}
          aria-label={`Compare ${run.name}`}
          onChange={onToggle}
        />
      </td>
      <th scope="row">
        <span className={classes.name}>
          <span className={classes.swatch} style={{ background: runColour(run.colour, dark) }} />
          {editing ? (
            <TextInput
              size="xs"
              className={classes.edit}
              aria-label={editing === "name" ? "Name of the run" : "Tags of the run, with spaces between"}
              placeholder={editing === "tags" ? "tags, with spaces between" : undefined}
              defaultValue={editing === "name" ? run.name : run.tags.join(" ")}
              maxLength={200}
              autoFocus
              onBlur={(event) => put(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === "Enter") event.currentTarget.blur();
                if (event.key === "Escape") setEditing(null);
              }}
            />
          ) : (
            <>
              <span className="clip" title={run.name}>
                {run.name}
              </span>
              {run.series && <span className={classes.tag}>{run.series.name}</span>}
              {run.tags.map((tag) => (
                <span key={tag} className={classes.tag}>
                  {tag}
                </span>
              ))}
              {!run.complete && (
                <Tooltip label={`Stopped after step ${formatCount(run.steps)}`}>
                  <span className={classes.tag}>stopped early</span>
                </Tooltip>
              )}
              {current && <span className={classes.tag}>on the page</span>}
              {unstored && <span className={classes.tag}>not stored</span>}
            </>
          )}
        </span>
      </th>
      {roles.map((role) => (
        <td key={role} className={classes.number}>
          <Accuracy run={run} role={role} />
        </td>
      ))}
      <td className={classes.number}>
        {run.open} of {run.gates}
      </td>
      <td className={classes.number}>{formatDuration(run.seconds)}</td>
      <td className={classes.when}>{when(run.when)}</td>
      <td>
        <Menu
          position="bottom-end"
          withinPortal
          onExitTransitionEnd={() => {
            setEditing(wish.current);
            wish.current = null;
          }}
        >
          <Menu.Target>
            <ActionIcon variant="subtle" size="sm" aria-label={`What to do with ${run.name}`}>
              ⋯
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              disabled={!openable || busy || current}
              onClick={async () => {
                if (await sitting.reopen(run.id)) onOpened();
              }}
            >
              Open again
            </Menu.Item>
            <Menu.Item onClick={() => recipe.change(run.recipe)}>Use its recipe</Menu.Item>
            <Menu.Divider />
            <Menu.Item onClick={() => wishFor("name")}>Rename</Menu.Item>
            <Menu.Item onClick={() => wishFor("tags")}>Tags</Menu.Item>
            <Menu.Label>Colour</Menu.Label>
            <div className={classes.colours}>
              {colourNames.map((name, colour) => (
                <button
                  key={name}
                  type="button"
                  aria-label={name}
                  aria-pressed={colour === run.colour}
                  style={{ background: runColour(colour, dark) }}
                  onClick={() => void store.change(run.id, { colour })}
                />
              ))}
            </div>
            <Menu.Divider />
            <Menu.Item color="red" onClick={onRemove}>
              Delete
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </td>
    </tr>
  );
}

function Accuracy({ run, role }: { run: RunRecord; role: SetRole }) {
  const [before, after] = [roleScore(run, role, "before"), roleScore(run, role)];
  if (before === null || after === null) return <span className="dim">–</span>;
  return (
    <>
      {percent(after)} <span className={classes.change}>{pointsChange(shownChange(before, after))}</span>
    </>
  );
}

const today = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const earlier = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** The time of today, or the day. */
function when(ms: number): string {
  const date = new Date(ms);
  return (date.toDateString() === new Date().toDateString() ? today : earlier).format(date);
}
