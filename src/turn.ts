// Lets what waits (a stop, a pause, Ctrl-C) have its turn in the middle of long work. Awaiting the WASM backend never
// does: its promises are kept within the same turn of the event loop.

/**
 * Resolves in a later turn of the event loop, after what was waiting already. Costs microseconds: a timer would cost
 * 4 ms each in a browser. In Node it is not a message either: one port may be handed 1,000 of them in a turn.
 */
export const nextTurn: () => Promise<void> =
  typeof setImmediate === "function" ? () => new Promise((resolve) => setImmediate(resolve)) : byMessage();

/** Work that yields between its parts: where a turn may be taken, or the work be given up and what it holds be freed. */
export type InParts<T> = Generator<void, T, void>;

/** Milliseconds that work in parts may take before others have a turn. */
const TURN_EVERY = 40;

/** Does work in parts to its end, with no turn for anyone. */
export function atOnce<T>(work: InParts<T>): T {
  let part = work.next();
  while (!part.done) part = work.next();
  return part.value;
}

/**
 * Does work in parts and lets what waits have its turn whenever it has worked for a while.
 * @param goOn asked after each turn; throws to give the work up, which then frees what it holds (`finally`)
 */
export async function inTurns<T>(work: InParts<T>, goOn?: () => void): Promise<T> {
  let since = performance.now();
  for (let part = work.next(); ; part = work.next()) {
    if (part.done) return part.value;
    if (performance.now() - since < TURN_EVERY) continue;
    await nextTurn();
    try {
      goOn?.();
    } catch (error) {
      work.return(undefined as never);
      throw error;
    }
    since = performance.now();
  }
}

function byMessage(): () => Promise<void> {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
}
