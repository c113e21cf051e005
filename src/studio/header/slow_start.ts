// When the engine's start is called slow.

/** Milliseconds that the engine may take to start before the person is told and may choose. */
export const SLOW_START = 20_000;
