// Every tensor of the model's file: name, shape, type, what it is used as, and what is wrong with it.
import { Pagination, TextInput } from "@mantine/core";
import { useMemo, useState } from "react";
import type { TensorRow } from "../../session/protocol.ts";
import { Dialog } from "../shared/Dialog.tsx";
import { formatBytes, formatCount, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";

const pageSize = 60;

/** Rows that a search finds (every word, in name, role, type or problem), those with a problem first. */
export function findTensors(rows: TensorRow[], search: string): TensorRow[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = rows.filter(({ name, role, dtype, problem }) => {
    const text = `${name} ${role ?? "unused"} ${dtype} ${problem ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return [...found.filter((row) => row.problem !== null), ...found.filter((row) => row.problem === null)];
}

export function TensorTable(props: { rows: TensorRow[]; name: string; onClose: () => void }) {
  const [search, setSearch] = useState("");
  const [page, setPage] = useState(1);
  const found = useMemo(() => findTensors(props.rows, search), [props.rows, search]);
  const pages = Math.max(1, Math.ceil(found.length / pageSize));
  const shown = found.slice((page - 1) * pageSize, page * pageSize);
  const bytes = found.reduce((sum, row) => sum + row.bytes, 0);

  return (
    <Dialog opened onClose={props.onClose} size={980} title={`Tensors of ${props.name}`}>
      <div className="row" style={{ marginBottom: 10, flexWrap: "wrap" }}>
        <TextInput
          data-autofocus
          aria-label="Search tensors"
          placeholder="Name, role, type, or a word of the problem"
          leftSection={<Icon name="search" />}
          value={search}
          style={{ flex: "1 1 220px" }}
          onChange={(event) => {
            setSearch(event.currentTarget.value);
            setPage(1);
          }}
        />
        <span className="dim" aria-live="polite">
          {plural(found.length, "tensor")}, {formatBytes(bytes)}
        </span>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolled area must be reachable without a mouse */}
      <div className="scroller" style={{ height: "min(60dvh, 560px)", maxHeight: "none" }} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Shape</th>
              <th scope="col">Type</th>
              <th scope="col" className="number">
                Bytes
              </th>
              <th scope="col">Used as</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr key={row.name}>
                <th scope="row" className="mono">
                  <span style={{ overflowWrap: "anywhere" }}>{row.name}</span>
                  {row.problem && (
                    <span className="issue tone-error">
                      <Icon name="error" label="Problem" />
                      <span>{row.problem}</span>
                    </span>
                  )}
                </th>
                <td className="mono">{row.shape.length > 0 ? row.shape.join(" × ") : "scalar"}</td>
                <td className="mono">{row.dtype}</td>
                <td className="number">{formatCount(row.bytes)}</td>
                <td className={row.role ? "mono" : "dim"}>{row.role ?? "not used"}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p style={{ padding: 16 }}>No tensor matches "{search}".</p>}
      </div>
      <div className="row" style={{ marginTop: 10, minHeight: 30, justifyContent: "flex-end" }}>
        {pages > 1 && (
          <Pagination
            size="xs"
            total={pages}
            value={page}
            onChange={setPage}
            getItemProps={(n) => ({ "aria-label": `Page ${n}` })}
            getControlProps={(control) => ({ "aria-label": `${control} page` })}
          />
        )}
      </div>
    </Dialog>
  );
}
