// Where nobody has OOD images: the target's own, corrupted. One switch; which ones and how strongly, for those who care.
import { Chip, SegmentedControl, Switch } from "@mantine/core";
import { useState } from "react";
import {
  type CorruptionChoice,
  type CorruptionFamily,
  corruptions,
  defaultCorruptions,
} from "../../session/corruption_choice.ts";
import { plural } from "../shared/format.ts";
import { Help } from "../shared/Help.tsx";
import { Icon } from "../shared/Icon.tsx";
import { useSession, useStudio } from "../state/studio.ts";
import classes from "./Corruptions.module.css";

const families: { family: CorruptionFamily; label: string }[] = [
  { family: "noise", label: "Noise" },
  { family: "blur", label: "Blur" },
  { family: "weather", label: "Weather" },
  { family: "digital", label: "Digital" },
  { family: "style", label: "Style" },
];

export function Corruptions({ locked }: { locked: boolean }) {
  const { session } = useStudio();
  const set = useSession((state) => state.data.find(({ corruption }) => corruption !== null)) ?? null;
  const hasTarget = useSession((state) => state.data.some(({ role }) => role === "target"));
  const [open, setOpen] = useState(false);
  // What was chosen last comes back when the switch does.
  const [last, setLast] = useState<CorruptionChoice>(defaultCorruptions);
  const choice = set?.corruption ?? null;

  async function choose(wanted: CorruptionChoice | null) {
    if (!(await session.mayDropRun())) return;
    if (wanted) setLast(wanted);
    await session.corrupt(wanted);
  }
  const toggle = (name: string, on: boolean) => {
    if (!choice) return;
    const names = corruptions
      .map((one) => one.name)
      .filter((known) => (known === name ? on : choice.names.includes(known)));
    // Without any there would be no set: the switch is for that.
    if (names.length > 0) void choose({ ...choice, names });
  };

  return (
    <section className="set" aria-label="Corruptions of the target">
      <div className="row">
        <Switch
          size="xs"
          className="grow"
          label="Corruptions of the target"
          checked={choice !== null}
          disabled={locked || !hasTarget}
          onChange={(event) => void choose(event.currentTarget.checked ? last : null)}
        />
        <Help
          term="corruptions of the target"
          text="No images in another style? The target's held-out images under noise, blur, weather and the like (ImageNet-C's) and shifts of style, the same before and after. Their mean is one row among the results."
        />
      </div>
      {!hasTarget && <p className="dim">For a domain without images of its own: load the target first.</p>}
      {choice && set && (
        <>
          <div className="set-facts">
            <button type="button" className="linkish" aria-expanded={open} onClick={() => setOpen(!open)}>
              <Icon name="right" />
              {plural(choice.names.length, "corruption")}, severity {choice.severity}
            </button>
            <span className="dim">{plural(set.count, "image")}</span>
          </div>
          {open && (
            <div className={classes.choice}>
              <div className={classes.line}>
                <span id="corruption-severity">Severity</span>
                <SegmentedControl
                  size="xs"
                  aria-labelledby="corruption-severity"
                  disabled={locked}
                  data={["1", "2", "3", "4", "5"]}
                  value={String(choice.severity)}
                  onChange={(value) => void choose({ ...choice, severity: Number(value) })}
                />
              </div>
              {families.map(({ family, label }) => (
                <fieldset key={family} className={classes.family} disabled={locked}>
                  <legend>{label}</legend>
                  {corruptions
                    .filter((one) => one.family === family)
                    .map(({ name, label: words }) => (
                      <Chip
                        key={name}
                        size="xs"
                        checked={choice.names.includes(name)}
                        disabled={locked}
                        onChange={(on) => toggle(name, on)}
                      >
                        {words}
                      </Chip>
                    ))}
                </fieldset>
              ))}
              <p className="dim">
                Strengths are published for 224 pixels; lengths are scaled to the model's size. Styles have no
                severity.
              </p>
            </div>
          )}
        </>
      )}
    </section>
  );
}
