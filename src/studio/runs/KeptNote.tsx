// One thing that is not kept: why, what works all the same, and the ways to make room for it.
import { Button } from "@mantine/core";
import type { ReactNode } from "react";
import type { FailureParts } from "../../failure.ts";
import { Icon } from "../shared/Icon.tsx";
import type { SittingState } from "../state/sitting.ts";
import { useSitting, useStudio } from "../state/studio.ts";
import classes from "./Runs.module.css";
import { Storage } from "./Storage.tsx";

const titles: Record<keyof SittingState["unkept"], string> = {
  table: "What is loaded is not kept",
  run: "The run is not kept",
  lost: "Something did not come back",
};

export function KeptNote({ what, parts }: { what: keyof SittingState["unkept"]; parts: FailureParts }) {
  const { sitting } = useStudio();
  const off = useSitting(({ status }) => status === "off");
  return (
    <Note title={titles[what]} parts={parts}>
      {what === "lost" && (
        <Button variant="default" onClick={() => sitting.dismissLost()}>
          Dismiss
        </Button>
      )}
      {what !== "lost" && !off && (
        <Button variant="default" onClick={() => sitting.keepAgain()}>
          Try again
        </Button>
      )}
      {!off && <Storage label={what === "lost" ? "Storage" : "Make room"} />}
    </Note>
  );
}

/** A thing that is not kept, in a few words; read out once. */
export function Note({
  title,
  parts,
  children,
}: {
  title: string;
  parts: FailureParts;
  children?: ReactNode;
}) {
  return (
    <section className={classes.note} aria-label={title}>
      <Icon name="warning" className="tone-warning" />
      <div role="status">
        <strong>{title}</strong>
        <p>
          {parts.what} {parts.remedy}
        </p>
      </div>
      {children && <div className={classes.noteActions}>{children}</div>}
    </section>
  );
}
