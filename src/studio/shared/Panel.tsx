// The frame of everything in the input column: a heading, its explanation, small actions, a body.
import { type ReactNode, useId } from "react";
import { Help } from "./Help.tsx";

export function Panel(props: { title: string; help?: string; actions?: ReactNode; children: ReactNode }) {
  const heading = useId();
  return (
    <section className="panel" aria-labelledby={heading}>
      <div className="panel-head">
        <h2 id={heading}>{props.title}</h2>
        {props.help && <Help term={props.title} text={props.help} />}
        <div className="actions">{props.actions}</div>
      </div>
      <div className="panel-body">{props.children}</div>
    </section>
  );
}
