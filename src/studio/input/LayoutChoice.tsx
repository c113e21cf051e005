// How a drop is to be read, where only the person can say, or says otherwise: one choice a reading, and of several domains
// which one is learned.
import { Button, NativeSelect } from "@mantine/core";
import { useId, useState } from "react";
import { layoutWords } from "../../session/layout_words.ts";
import type { DataAnswers, DataRole, LayoutReading } from "../../session/protocol.ts";
import { plural } from "../shared/format.ts";

interface LayoutChoiceProps {
  /** Of the form, for those who hear it. */
  label: string;
  /** Why it is asked, a sentence. */
  words: string;
  role: DataRole;
  readings: LayoutReading[];
  disabled: boolean;
  onChoose: (answers: DataAnswers, otherDomains: string[]) => void;
  onCancel: () => void;
}

export function LayoutChoice(props: LayoutChoiceProps) {
  const { readings, role } = props;
  const group = useId();
  const [at, setAt] = useState(0);
  const [domain, setDomain] = useState<string | null>(null);
  const [withOthers, setWithOthers] = useState(true);
  const reading = readings[at] as LayoutReading;
  const { domains } = reading;
  // A folder that is called as the place it was dropped on is likely meant for it.
  const usual = domains.find((one) => one.toLowerCase() === role) ?? domains[0];
  const taken = domains.find((one) => one === domain) ?? usual;
  const others = role === "target" && withOthers ? domains.filter((one) => one !== taken) : [];

  return (
    <form
      className="questions"
      aria-label={props.label}
      onSubmit={(event) => {
        event.preventDefault();
        props.onChoose({ layout: reading.layout, ...(taken !== undefined && { domain: taken }) }, others);
      }}
    >
      <fieldset className="choices">
        <legend>{props.words}</legend>
        {readings.map((one, i) => (
          <label key={one.layout}>
            <input type="radio" name={group} checked={i === at} onChange={() => setAt(i)} />
            <span>{layoutWords(one)}</span>
          </label>
        ))}
      </fieldset>
      {domains.length > 0 && (
        <NativeSelect
          size="xs"
          label={role === "target" ? "Which one is learned?" : "Which one is it?"}
          data={domains}
          value={taken}
          onChange={(event) => setDomain(event.currentTarget.value)}
        />
      )}
      {domains.length > 1 && role === "target" && (
        <label className="choice">
          <input
            type="checkbox"
            checked={withOthers}
            onChange={(event) => setWithOthers(event.currentTarget.checked)}
          />
          <span>
            {domains.length === 2
              ? "The other becomes an OOD set"
              : `The other ${plural(domains.length - 1, "domain")} become OOD sets`}
          </span>
        </label>
      )}
      <div className="row">
        <Button type="submit" disabled={props.disabled}>
          Read it so
        </Button>
        <Button variant="subtle" onClick={props.onCancel}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
