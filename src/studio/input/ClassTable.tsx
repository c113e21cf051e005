// A set's classes: how many images in each, and what each one counts as when the names differ.
import { Select } from "@mantine/core";
import { useState } from "react";
import type { DataReport } from "../../session/protocol.ts";
import { formatCount } from "../shared/format.ts";
import { useStudio } from "../state/studio.ts";

const rowsAtFirst = 60;
const leftOut = "(left out)";

export function ClassTable({ set, locked }: { set: DataReport; locked: boolean }) {
  const [shown, setShown] = useState(rowsAtFirst);
  const isTarget = set.role === "target";
  const sum = (counts: DataReport["classes"][number]["counts"]) => counts.train + counts.val + counts.test;
  // What is left out is what a person comes here for.
  const rows = isTarget
    ? set.classes
    : [...set.classes.filter((one) => !one.mapsTo), ...set.classes.filter((one) => one.mapsTo)];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled area must be reachable without a mouse
    <div className="scroller" tabIndex={0}>
      <table className="table">
        <caption className="dim" hidden>
          Classes of {set.name}
        </caption>
        <thead>
          <tr>
            <th scope="col">Class</th>
            {isTarget ? (
              <>
                <th scope="col" className="number">
                  train
                </th>
                <th scope="col" className="number">
                  val
                </th>
                <th scope="col" className="number">
                  test
                </th>
              </>
            ) : (
              <>
                <th scope="col" className="number">
                  images
                </th>
                <th scope="col">counts as</th>
              </>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, shown).map((one) => (
            <tr key={one.name}>
              <th scope="row">{one.name}</th>
              {isTarget ? (
                <>
                  <td className="number">{formatCount(one.counts.train)}</td>
                  <td className="number">{formatCount(one.counts.val)}</td>
                  <td className="number">{formatCount(one.counts.test)}</td>
                </>
              ) : (
                <>
                  <td className="number">{formatCount(sum(one.counts))}</td>
                  <td>
                    <Mapping set={set} className={one.name} mapsTo={one.mapsTo} locked={locked} />
                  </td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <button type="button" className="linkish" style={{ margin: 8 }} onClick={() => setShown(rows.length)}>
          Show all {formatCount(rows.length)}
        </button>
      )}
    </div>
  );
}

/** A button until it is pressed: a thousand open selects would be a slow table. */
function Mapping(props: { set: DataReport; className: string; mapsTo: string | null; locked: boolean }) {
  const { session } = useStudio();
  const [editing, setEditing] = useState(false);
  const { set, className, mapsTo } = props;
  if (!editing)
    return (
      <button
        type="button"
        className={mapsTo ? "linkish" : "linkish tone-warning"}
        disabled={props.locked}
        aria-label={`${className} counts as ${mapsTo ?? "nothing, it is left out"}. Change`}
        onClick={() => setEditing(true)}
      >
        {mapsTo ?? "left out"}
      </button>
    );
  async function map(value: string | null) {
    setEditing(false);
    if (value === null || value === (mapsTo ?? leftOut) || !(await session.mayDropRun())) return;
    await session.mapClass(set.id, className, value === leftOut ? null : value);
  }
  return (
    <Select
      aria-label={`${className} counts as`}
      autoFocus
      defaultDropdownOpened
      searchable
      limit={60}
      data={[leftOut, ...set.mappable]}
      value={mapsTo ?? leftOut}
      allowDeselect={false}
      comboboxProps={{ width: 220, position: "bottom-end" }}
      onBlur={() => setEditing(false)}
      onChange={map}
    />
  );
}
