// Parts of the page that come in chunks of their own: the page can be used before they are there. They are fetched once
// it is and has nothing else to do, so that a server which is gone by the time a part is first shown is not missed.
import { type ComponentType, lazy } from "react";

const chunks: (() => Promise<unknown>)[] = [];

/** A part in a chunk of its own. */
export function part<Props extends object>(load: () => Promise<ComponentType<Props>>) {
  const chunk = async () => ({ default: await load() });
  chunks.push(chunk);
  return lazy(chunk);
}

/** Most milliseconds that the page may be busy before parts are fetched all the same. */
const PATIENCE = 2_000;

/**
 * Fetches every part once the page is idle; one that does not come is asked for again when it is shown.
 * @returns takes the wish back
 */
export function fetchPartsWhenIdle(): () => void {
  // One after the other, as a part may have parts.
  const fetchAll = async () => {
    for (let i = 0; i < chunks.length; i++) await chunks[i]?.().catch(() => {});
  };
  // Safari has no idle callbacks.
  if (typeof requestIdleCallback !== "function") {
    const timer = setTimeout(fetchAll, PATIENCE / 4);
    return () => clearTimeout(timer);
  }
  const asked = requestIdleCallback(fetchAll, { timeout: PATIENCE });
  return () => cancelIdleCallback(asked);
}
