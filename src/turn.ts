// Lets what waits (a stop, a pause, Ctrl-C) have its turn in the middle of long work. Awaiting the WASM backend never
// does: its promises are kept within the same turn of the event loop.

/**
 * Resolves in a later turn of the event loop, after what was waiting already. Costs microseconds: a timer would cost
 * 4 ms each in a browser. In Node it is not a message either: one port may be handed 1,000 of them in a turn.
 */
export const nextTurn: () => Promise<void> =
  typeof setImmediate === "function" ? () => new Promise((resolve) => setImmediate(resolve)) : byMessage();

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
