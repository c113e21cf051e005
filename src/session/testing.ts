// Small pictures in memory and a listener, for tests of the session. The pictures of a class share a colour and differ
// in noise, so that even a network with random weights tells the classes apart.
import sharp from "sharp";
import { random, seedFor } from "../random.ts";
import type { RunResult, Session, SessionEvent, SourceFile } from "./protocol.ts";

export { fixture } from "../checkpoint/fixtures/load.ts";
export { startHub } from "../checkpoint/testing/hub_server.ts";
export * as merged from "../export/merged.ts";
export { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";

const EDGE = 20;
/** Mean colour of the first classes; a class's place in the list decides. */
const colours = [
  [200, 60, 60],
  [60, 190, 70],
  [60, 80, 200],
];

/** A PNG of one colour under heavy noise. */
async function picture(kind: number, seed: string): Promise<Blob> {
  const stream = random(seedFor(kind, seed));
  const colour = colours[kind % colours.length] as number[];
  const data = Uint8Array.from({ length: EDGE * EDGE * 3 }, (_, i) => {
    const value = (colour[i % 3] as number) + (stream.next() - 0.5) * 240;
    return Math.max(0, Math.min(255, Math.round(value)));
  });
  const png = await sharp(data, { raw: { width: EDGE, height: EDGE, channels: 3 } })
    .png()
    .toBuffer();
  return new Blob([new Uint8Array(png)]);
}

/**
 * A dropped folder of class folders.
 * @param counts pictures of each class; by split, or without splits
 */
export async function pictures(
  root: string,
  classes: readonly string[],
  counts: number | Partial<Record<"train" | "val" | "test", number>>,
): Promise<SourceFile[]> {
  const splits: [folder: string, count: number][] =
    typeof counts === "number" ? [["", counts]] : Object.entries(counts).map(([s, n]) => [`${s}/`, n]);
  const files: SourceFile[] = [];
  for (const [folder, count] of splits)
    for (const [kind, name] of classes.entries())
      for (let n = 0; n < count; n++) {
        const path = `${root}/${folder}${name}/${n}.png`;
        files.push({ path, blob: await picture(kind, path) });
      }
  return files;
}

/** Everything a session tells, as it tells it. */
export function listen(session: Session): SessionEvent[] {
  const events: SessionEvent[] = [];
  session.subscribe((event) => events.push(event));
  return events;
}

/** Calls back once, with the first event that fits. */
export function once(session: Session, fits: (event: SessionEvent) => boolean, then: () => void): void {
  const end = session.subscribe((event) => {
    if (!fits(event)) return;
    end();
    then();
  });
}

/** What a run answers, measured anew: so near to all of the change that nothing is remembered of it. */
export async function answersAnew(session: Session, { final }: RunResult): Promise<number[][]> {
  const { sets } = await session.adjust(final.open, 1 - 2 ** -20);
  return sets.map(({ predictions }) => [...predictions]);
}

/** What a run answered when it ended. */
export const answersOf = ({ after }: RunResult): number[][] =>
  after.sets.map(({ predictions }) => [...predictions]);
