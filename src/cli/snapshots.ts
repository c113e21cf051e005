// What a run has learned so far, kept in its folder while it trains: every few minutes, and when it is asked to end.
import { Failure } from "../failure.ts";
import type { Session } from "../session/protocol.ts";
import { savedRunNames, writeSavedRun } from "../session/saved_run_files.ts";
import type { OutFolder } from "./out_folder.ts";

/** How often a run under way is kept, in ms. */
export const SNAPSHOT_EVERY = 5 * 60_000;

/** The files of a run that is kept, in the folder of that run; `""` is the results' own. */
export const snapshotPaths = (sub: string): string[] =>
  Object.values(savedRunNames).map((name) => sub + name);

export interface Snapshots {
  /** Keeps the run as it stands at the next step; nothing where none is under way. */
  now(): Promise<void>;
  /** No more are begun; resolves when none is being written. */
  end(): Promise<void>;
}

/**
 * Keeps what `session` trains, until `end`. A disk that takes none is told of once and ends nothing.
 * @param sub the run's folder in `out`, with a `/` behind it
 */
export function keepSnapshots(
  session: Session,
  out: OutFolder,
  sub: string,
  tell: (text: string) => void,
  every = SNAPSHOT_EVERY,
): Snapshots {
  let training = false;
  let told = false;
  let ended = false;
  let busy = false;
  let writing: Promise<void> = Promise.resolve();
  const unsubscribe = session.subscribe((event) => {
    // A run is under way from its first step to its last: what the session would give before and after is another one.
    if (event.kind === "started") training = true;
    else if (event.kind === "status" && event.status !== "training" && event.status !== "paused")
      training = false;
  });

  async function keep(): Promise<void> {
    if (!training || ended) return;
    const saved = await session.saveRun();
    if (!saved || saved.result) return;
    const stage = await out.stage();
    try {
      await stage.add(writeSavedRun(saved).map(({ path, blob }) => ({ path: sub + path, blob })));
      await stage.commit({ replacing: false });
    } finally {
      await stage.discard();
    }
  }
  const now = () => {
    busy = true;
    const mine = writing.then(keep).catch((error) => {
      if (!told) tell(`What is learned cannot be kept while it is: ${Failure.from(error).terminalMessage}`);
      told = true;
    });
    writing = mine;
    return mine.then(() => {
      if (writing === mine) busy = false;
    });
  };
  // A disk that is slower than the clock is not asked twice at once.
  const timer = setInterval(() => {
    if (!busy) void now();
  }, every);
  return {
    now,
    async end() {
      clearInterval(timer);
      unsubscribe();
      await writing;
      ended = true;
    },
  };
}
