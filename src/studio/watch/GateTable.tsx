// The heatmap as a table: the same numbers for screen readers, for copying, and for who would rather read.
import { Table } from "@mantine/core";
import { type CSSProperties, memo } from "react";
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import { formatCount } from "../shared/format.ts";
import { decimal, quantity } from "./format.ts";
import { columnLabels } from "./gates.ts";
import { Term } from "./Term.tsx";
import classes from "./Watch.module.css";

export interface GateTableProps {
  gates: GateInfo[];
  frame: GateFrame | null;
  open: Uint8Array | null;
  /** Whether the method opens and closes gates, so that they have scores. */
  gated: boolean;
  /** Height of what it stands in for, in pixels, so that nothing below moves; 0 where that is not known. */
  height: number;
}

export const GateTable = memo(function GateTable({ gates, frame, open, gated, height }: GateTableProps) {
  return (
    <section
      className={classes.tableScroll}
      style={{ "--height": `${height}px` } as CSSProperties}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      aria-label="Blocks as a table"
    >
      <Table stickyHeader verticalSpacing={4} horizontalSpacing="xs" className={classes.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Layer</Table.Th>
            <Table.Th>Block</Table.Th>
            <Table.Th>
              <Term word="open">State</Term>
            </Table.Th>
            {gated && (
              <>
                <Table.Th ta="right">
                  <Term word="score">Score</Term>
                </Table.Th>
                <Table.Th ta="right">
                  <Term word="sensitivity">Sensitivity</Term>
                </Table.Th>
              </>
            )}
            <Table.Th ta="right">
              <Term word="change">Change</Term>
            </Table.Th>
            <Table.Th ta="right">
              <Term word="parameters">Parameters</Term>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {gates.map((gate) => (
            <Table.Tr key={gate.id}>
              <Table.Td>{gate.layer + 1}</Table.Td>
              <Table.Td>{columnLabels[gate.column]}</Table.Td>
              <Table.Td>{open ? (open[gate.id] ? "● open" : "closed") : "–"}</Table.Td>
              {gated && (
                <>
                  <Table.Td ta="right">{frame ? decimal(frame.scores[gate.id]!) : "–"}</Table.Td>
                  <Table.Td ta="right">{frame ? quantity(frame.sensitivity[gate.id]!) : "–"}</Table.Td>
                </>
              )}
              <Table.Td ta="right">{frame ? `${quantity(frame.deltaNorm[gate.id]! * 100)}%` : "–"}</Table.Td>
              <Table.Td ta="right">{formatCount(gate.parameters)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
});
