// The list of kept runs: what each reached, chosen, renamed, tagged, coloured, opened again or deleted from here.
import { ActionIcon, Button, Checkbox, Menu, TextInput, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useMemo, useRef, useState } from "react";
import { moreThanChance } from "../../session/chance.ts";
import type { SetRole } from "../../session/protocol.ts";
import { type Recipe, recipeWords } from "../../session/recipe.ts";
import type { RunRecord } from "../../session/run_record.ts";
import { Change } from "../compare/Change.tsx";
import { formatCount, formatDuration, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import type { RunnerState } from "../state/runner.ts";
import { comparedLimit } from "../state/runs_store.ts";
import { useRuns, useSession, useStudio } from "../state/studio.ts";
import { percent } from "../watch/format.ts";
import { colourNames, runColour } from "./colours.ts";
import {
  columns,
  dataText,
  differences,
  matches,
  roleBalanced,
  roleCompared,
  roleScore,
  type Sorting,
  settingText,
  sorted,
} from "./comparison.ts";
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
  const [sorting, setSorting] = useState<Sorting>({ by: "when", down: true });
  const found = useMemo(
    () =>
      sorted(
        runs.filter((run) => matches(run, wanted)),
        sorting,
      ),
    [runs, wanted, sorting],
  );
  const settings = useMemo(() => differences(found).slice(0, SETTINGS), [found]);
  const head = (by: Sorting["by"], label: string, number = false) => (
    <SortHead key={by} by={by} label={label} number={number} sorting={sorting} onSort={setSorting} />
  );
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
            placeholder="Find: a name, a tag, rank=4"
            leftSection={<Icon name="search" />}
            value={wanted}
            onChange={(event) => setWanted(event.currentTarget.value)}
          />
        )}
        <span className="dim">
          {wanted.trim() !== "" && `${formatCount(found.length)} of `}
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
              {columns.map(({ key, label }) => [
                head(key, label, numbers.has(key)),
                ...(key === "name"
                  ? settings.map((setting) => head(setting, recipeWords[setting].label))
                  : []),
              ])}
              <th scope="col">
                <span className="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            <FailedRows failed={failed} columns={columns.length + settings.length} />
            {found.slice(0, shown).map((run) => (
              <Row
                key={run.id}
                run={run}
                settings={settings}
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

const numbers: ReadonlySet<string> = new Set(["target", "ood", "retention", "open", "seconds"]);
/** Most settings that stand as columns: those in which the runs listed differ. */
const SETTINGS = 5;

interface SortHeadProps {
  by: Sorting["by"];
  label: string;
  number: boolean;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
}

/** A heading that puts the list in its order, and pressed again in the other. */
function SortHead({ by, label, number, sorting, onSort }: SortHeadProps) {
  const here = sorting.by === by;
  return (
    <th
      scope="col"
      className={number ? classes.number : undefined}
      aria-sort={here ? (sorting.down ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        className={classes.sort}
        onClick={() => onSort({ by, down: here ? !sorting.down : number || by === "when" })}
      >
        {label}
        <span aria-hidden="true">{here ? (sorting.down ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
}

/** Runs of the last row of runs that failed, and why; they are told of until another row starts. */
export function FailedRows({ failed, columns: count }: { failed: RunnerState["failed"]; columns: number }) {
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
      <td className={classes.why} colSpan={count}>
        {text}
      </td>
    </tr>
  ));
}

interface RowProps {
  run: RunRecord;
  settings: readonly (keyof Recipe)[];
  chosen: boolean;
  dark: boolean;
  onToggle: () => void;
  onRemove: () => void;
  onOpened: () => void;
}

type Edited = "name" | "tags" | "note";

function Row({ run, settings, chosen, dark, onToggle, onRemove, onOpened }: RowProps) {
  const { runs: store, recipe, sitting } = useStudio();
  const openable = useRuns((state) => state.openable.has(run.id));
  const unstored = useRuns((state) => state.unstored.has(run.id));
  const current = useSession((state) => state.run.id === run.id);
  const busy = useSession((state) => state.running || state.model === null || state.reading.length > 0);
  const [editing, setEditing] = useState<Edited | null>(null);
  // The menu gives the focus back when it closes; the field takes it after that.
  const wish = useRef<Edited | null>(null);
  const wishFor = (what: Edited) => {
    wish.current = what;
  };

  function put(text: string) {
    if (editing === "name" && text.trim()) void store.change(run.id, { name: text.trim().slice(0, 200) });
    if (editing === "tags") {
      const tags = text.split(/[,\s]+/).filter(Boolean);
      void store.change(run.id, { tags: [...new Set(tags.map((tag) => tag.slice(0, 40)))].slice(0, 20) });
    }
    if (editing === "note") void store.change(run.id, { note: text.trim().slice(0, 2000) });
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
          {editing && editing !== "note" ? (
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
      {settings.map((key) => (
        <td key={key} title={settingText(run.recipe[key])}>
          <span className={classes.setting}>{settingText(run.recipe[key])}</span>
        </td>
      ))}
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
      <td title={run.model.name}>
        <span className={classes.setting}>{run.model.name}</span>
      </td>
      <td title={run.data.map(({ role, name, images }) => `${role}: ${name}, ${images} images`).join("\n")}>
        <span className={classes.setting}>{dataText(run)}</span>
      </td>
      <td>
        {editing === "note" ? (
          <TextInput
            size="xs"
            className={classes.edit}
            aria-label="Note on the run"
            defaultValue={run.note ?? ""}
            maxLength={2000}
            autoFocus
            onBlur={(event) => put(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter") event.currentTarget.blur();
              if (event.key === "Escape") setEditing(null);
            }}
          />
        ) : (
          <span className={classes.setting} title={run.note}>
            {run.note}
          </span>
        )}
      </td>
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
            <Menu.Item onClick={() => wishFor("note")}>Note</Menu.Item>
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
  const balanced = roleBalanced(run, role);
  return (
    <>
      {percent(after)} <Change from={before} to={after} sure={moreThanChance(roleCompared(run, role))} />
      {balanced !== null && <span className={classes.balanced}>balanced {percent(balanced)}</span>}
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
