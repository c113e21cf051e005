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
  const rows = isTarget ? set.classes : set.classes.toSorted((a, b) => settled(a) - settled(b));
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
                    <Mapping set={set} one={one} locked={locked} />
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

/** What is to be chosen comes first, then what is left out. */
const settled = ({ mapsTo, choices }: DataReport["classes"][number]) => (choices ? 0 : mapsTo ? 2 : 1);

/** A button until it is pressed: a thousand open selects would be a slow table. */
function Mapping(props: { set: DataReport; one: DataReport["classes"][number]; locked: boolean }) {
  const { session } = useStudio();
  const [editing, setEditing] = useState(false);
  const { set } = props;
  const { name, mapsTo, choices = [] } = props.one;
  const toChoose = choices.length > 0;
  if (!editing)
    return (
      <button
        type="button"
        className={mapsTo ? "linkish" : "linkish tone-warning"}
        disabled={props.locked}
        aria-label={`${name} counts as ${mapsTo ?? (toChoose ? "one of several labels, still to be chosen" : "nothing, it is left out")}. Change`}
        onClick={() => setEditing(true)}
      >
        {mapsTo ?? (toChoose ? `choose of ${choices.length}` : "left out")}
      </button>
    );
  async function map(value: string | null) {
    setEditing(false);
    const standing = mapsTo ?? (toChoose ? null : leftOut);
    if (value === null || value === standing || !(await session.mayDropRun())) return;
    await session.mapClass(set.id, name, value === leftOut ? null : value);
  }
  return (
    <Select
      aria-label={`${name} counts as`}
      autoFocus
      defaultDropdownOpened
      searchable
      limit={60}
      placeholder={toChoose ? "Choose" : undefined}
      data={[...choices, leftOut, ...set.mappable.filter((label) => !choices.includes(label))]}
      value={mapsTo ?? (toChoose ? null : leftOut)}
      allowDeselect={false}
      comboboxProps={{ width: 220, position: "bottom-end" }}
      onBlur={() => setEditing(false)}
      onChange={map}
    />
  );
}
