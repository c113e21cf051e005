// How a loaded set was read, in a line, and the other ways in which it could be: its folders, and the letters of names.
import { useState } from "react";
import { layoutWords } from "../../session/layout_words.ts";
import type { DataReading, DataReport } from "../../session/protocol.ts";
import { useStudio } from "../state/studio.ts";
import { LayoutChoice } from "./LayoutChoice.tsx";
import { NameEncoding } from "./NameEncoding.tsx";

interface SetReadingProps {
  set: DataReport;
  reading: DataReading;
  locked: boolean;
}

export function SetReading({ set, reading, locked }: SetReadingProps) {
  const { session } = useStudio();
  const [open, setOpen] = useState(false);
  const { taken, domain, others } = reading;
  const choices = taken.domains.length > 0 ? [taken, ...others] : others;

  async function choose(
    ...[answers, ood]: Parameters<React.ComponentProps<typeof LayoutChoice>["onChoose"]>
  ) {
    setOpen(false);
    if (await session.mayDropRun()) await session.readOtherwise(set.id, answers, ood);
  }

  return (
    <>
      <span className="dim">
        {layoutWords(taken, domain)}.{" "}
        {choices.length > 0 && !open && (
          <button type="button" className="linkish" disabled={locked} onClick={() => setOpen(true)}>
            Read it otherwise
          </button>
        )}
      </span>
      {set.names && <NameEncoding set={set} names={set.names} locked={locked} />}
      {open && (
        <LayoutChoice
          label={`Read ${set.name} otherwise`}
          words="How is it to be read instead?"
          role={set.role}
          readings={choices}
          disabled={locked}
          onChoose={choose}
          onCancel={() => setOpen(false)}
        />
      )}
    </>
  );
}
