// The words of the field, a line each, and who drew the demo's pictures.
import { ActionIcon, Popover } from "@mantine/core";
import { useState } from "react";
import { type Credit, fetchCredits } from "../files/demo.ts";
import { Icon } from "../shared/Icon.tsx";

const terms: [string, string][] = [
  ["Block", "One half of a layer: attention (looks around) or MLP (thinks it over)."],
  ["LoRA", "A small, trainable change beside a frozen weight; it is added to the weight in the end."],
  ["Rank", "Width of that change: how much a block can learn, and how much it can forget."],
  ["Gate", "A switch on a block's change. Closed, the block stays exactly as it was."],
  ["Score", "A learned number for each gate; the gate is open while it reaches the threshold."],
  ["Target", "The images to learn. Accuracy is measured on a held-out part of them."],
  ["OOD", "Out of distribution: the same classes in another style. Measured, never trained on."],
  ["Retention", "What the model could do before, judged by its own classifier: what it keeps."],
  ["Linear probe", "A new classifier on the untouched model: the starting point, the “before”."],
  ["WiSE-FT", "Applying only a share of the change, between the old weights and the new."],
];

export function Glossary() {
  const [open, setOpen] = useState(false);
  const [credits, setCredits] = useState<Credit[] | "missing" | null>(null);
  const toggle = (opened: boolean) => {
    setOpen(opened);
    if (opened && credits === null) fetchCredits().then(setCredits, () => setCredits("missing"));
  };
  return (
    <Popover opened={open} onChange={toggle} position="bottom-end" width={400} trapFocus returnFocus>
      <Popover.Target>
        <ActionIcon
          variant="default"
          size={30}
          aria-label="Glossary, and about the demo's pictures"
          title={open ? undefined : "What the words mean; about the demo"}
          onClick={() => toggle(!open)}
        >
          <Icon name="book" />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown className="tall" tabIndex={0}>
        <div className="stack">
          <h2>What the words mean</h2>
          <dl className="glossary">
            {terms.map(([term, line]) => (
              <div key={term} className="contents">
                <dt>{term}</dt>
                <dd>{line}</dd>
              </div>
            ))}
          </dl>
          <h2>About the demo's pictures</h2>
          {credits === "missing" ? (
            <p className="dim">
              The list of artists is not there; NOTICE in the project's folder names them.
            </p>
          ) : (
            <ul className="issues">
              {credits?.map((credit) => (
                <li key={credit.title}>
                  <strong>{credit.title}</strong> by {credit.artist}, {credit.licence}
                  <div className="dim">
                    {credit.style}; {credit.role}
                  </div>
                </li>
              ))}
            </ul>
          )}
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
