// What happens, told on stderr while it does.
import { basisWords } from "../session/basis.ts";
import type { LiveAccuracy, SessionEvent } from "../session/protocol.ts";
import { say } from "./streams.ts";

/** A remark on stderr that comes from no event. */
export function remark(text: string, json: boolean): void {
  say(json ? JSON.stringify({ kind: "notice", text } satisfies SessionEvent) : text);
}

/** What happens, a line each on stderr; with --json one object a line. */
export function reporter(json: boolean): (event: SessionEvent) => void {
  const started = performance.now();
  let lastLine = 0;
  return (event) => {
    if (json) {
      // Typed arrays print as objects; as plain lists they are readable by anything.
      const plain = (_: string, value: unknown) =>
        ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value;
      if (event.kind !== "before") say(JSON.stringify(event, plain));
      return;
    }
    const now = performance.now();
    const seconds = ((now - started) / 1000).toFixed(0).padStart(5);
    if (event.kind === "step") {
      const r = event.report;
      say(
        `${seconds} s  step ${r.step}/${r.steps}  ${r.phase.padEnd(9)}  loss ${r.loss.toFixed(4)}  ${r.keep === undefined ? "" : `keep ${r.keep.toFixed(4)}  `}open ${r.open}  ` +
          `${r.imagesPerSecond.toFixed(1)} images/s  ${Math.round(r.secondsLeft)} s left`,
      );
    } else if (event.kind === "accuracy") {
      const { step, epoch, sets } = event.point;
      // Which images these are is said once: they stay the same.
      const on = ({ basis }: LiveAccuracy) => (step === 0 && basis ? ` of ${basisWords(basis)}` : "");
      const said = sets.map((s) => `${s.name} ${(100 * s.accuracy).toFixed(1)} %${on(s)}`).join("  ");
      say(`${seconds} s  ${step === 0 ? "before" : `epoch ${epoch}`}  ${said}`);
    } else if (event.kind === "progress" && (event.done === event.total || now - lastLine > 5000)) {
      lastLine = now;
      say(`${seconds} s  ${event.label} ${event.done}/${event.total}`);
    } else if (event.kind === "notice") {
      say(`${seconds} s  ${event.text}`);
    }
  };
}
