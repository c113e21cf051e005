// When the engine's start is called slow, and what the address says of it.

/** Milliseconds that the engine may take to start before the person is told and may choose. */
export const SLOW_START = 20_000;

/** End of an address under which the engine starts without threads. */
export const ONE_THREAD = "#one-thread";
