// A part that is opened when it is wanted; closed, it costs a line.
import { type ReactNode, useState } from "react";
import { Icon } from "../shared/Icon.tsx";
import classes from "./Disclosure.module.css";

export function Disclosure({ title, children }: { title: ReactNode; children: ReactNode }) {
  const [open, setOpen] = useState(false);
  return (
    <div className={classes.part} data-open={open || undefined}>
      <button type="button" className={classes.head} aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name="right" />
        {title}
      </button>
      {open && <div className={classes.body}>{children}</div>}
    </div>
  );
}
