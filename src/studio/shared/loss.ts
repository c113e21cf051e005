// What a person is told when the graphics device was lost, and what is offered then. One sentence on what happened, and
// what to do next, in each state that the page can be in.
import type { Loss } from "../state/session_store.ts";

export interface LossWords {
  what: string;
  remedy: string;
  /** Buttons: to compute on the CPU, and to try the graphics device once more. */
  offers: { wasm: boolean; again: boolean };
  /** Whether it can be put away: only once there is a device. */
  dismissable: boolean;
}

/** Devices lost in a row from which on the CPU is offered. */
const OFTEN = 3;

const ordinals = ["", "", "second", "third", "fourth", "fifth"];
const timesIn = (times: number) =>
  times < 2 ? "" : ` This was the ${ordinals[times] ?? `${times}th`} time in a row.`;

/** @param offered whether the page offers to go on with a run, or to start it again */
export function lossWords(loss: Loss, offered: boolean): LossWords {
  const what = `${loss.what}${timesIn(loss.times)}`;
  const often = loss.times >= OFTEN && !loss.onCpu;
  if (loss.device === "opening") {
    const remedy = "It is being opened anew; everything you loaded is still there.";
    return { what, remedy, offers: { wasm: false, again: false }, dismissable: false };
  }
  if (loss.device === "none") {
    const why = loss.refusal
      ? `It cannot be opened anew: ${loss.refusal.what}`
      : "It is not opened again by itself.";
    const remedy =
      "Compute on the CPU, which is slower but safe from this, or try the graphics device once more. Everything you loaded is still there.";
    return { what: `${what} ${why}`, remedy, offers: { wasm: true, again: true }, dismissable: false };
  }
  const parts = [
    loss.onCpu ? "No other could be opened, so the CPU computes from here on." : "It is open again.",
  ];
  if (offered) parts.push("Go on with the run just below.");
  if (loss.runBack === true)
    parts.push(
      offered ? "The run before it is as it was." : "Your run is as it was, with its blocks and its export.",
    );
  if (loss.runBack === false && !offered)
    parts.push("The run's weights could not be brought back: run it again.");
  if (loss.broke === "wish") parts.push("What you had asked for was not finished; ask for it once more.");
  if (parts.length === 1) parts.push("Everything you loaded is still there.");
  if (often) parts.push("If that goes on, compute on the CPU: slower, but safe from this.");
  return { what, remedy: parts.join(" "), offers: { wasm: often, again: false }, dismissable: true };
}
