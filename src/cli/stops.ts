// Ctrl-C and its kin. The first signal asks the work to end and keep what it has; the second ends the program.

/** Signals that end a run, and what each is called. */
const signals = { SIGINT: "Ctrl-C", SIGTERM: "SIGTERM", SIGHUP: "SIGHUP (the terminal was closed)" } as const;
type StopSignal = keyof typeof signals;

/** What a shell knows a program by that a signal ended: 128 and its number. */
const codes: Record<StopSignal, number> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

export interface Stops {
  /** What asked for an end, in words; null as long as nothing has. */
  readonly by: string | null;
  /** The exit code of a program that was asked to end; 0 as long as it has not been. */
  readonly code: number;
  /** Calls back at the first signal, or at once where it has come. @returns what takes that back */
  onStop(act: () => void): () => void;
  end(): void;
}

/** Listens for signals until `end`. */
export function listenForStops(): Stops {
  let signal: StopSignal | null = null;
  const acts = new Set<() => void>();
  const listeners = (Object.keys(signals) as StopSignal[]).map((name) => {
    const hear = () => {
      if (signal) process.exit(codes[name]);
      signal = name;
      for (const act of acts) act();
    };
    process.on(name, hear);
    return [name, hear] as const;
  });
  return {
    get by() {
      return signal && signals[signal];
    },
    get code() {
      return signal ? codes[signal] : 0;
    },
    onStop(act) {
      acts.add(act);
      if (signal) act();
      return () => acts.delete(act);
    },
    end() {
      for (const [name, hear] of listeners) process.off(name, hear);
    },
  };
}
