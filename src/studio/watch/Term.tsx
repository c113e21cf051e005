// A word with its one-line explanation, for pointer, keyboard and touch.
import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import classes from "./Term.module.css";
import { type Word, words } from "./words.ts";

/** Dotted underline; hovering, focusing or tapping shows the explanation of `word`. */
export function Term({ word, children }: { word: Word; children: ReactNode }) {
  return (
    <Tooltip
      label={words[word]}
      events={{ hover: true, focus: true, touch: true }}
      multiline
      maw={280}
      openDelay={150}
      withArrow
    >
      <button type="button" className={classes.term}>
        {children}
      </button>
    </Tooltip>
  );
}
