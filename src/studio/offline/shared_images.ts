// The page's side of what other apps share with it (share_box.ts).
import { Failure } from "../../failure.ts";
import type { SourceFile } from "../../session/protocol.ts";
import type { SharedFile } from "./share_box.ts";

/** What was shared at one time. */
export interface Share {
  at: number;
  files: SourceFile[];
  /** Where its files lie. */
  urls: string[];
}

const NOT_KEPT = "?shared=not";
const box = () => new URL("shared/", document.baseURI);

/**
 * What waits to be put somewhere, oldest first; nothing where no service worker is at work.
 * @throws Failure when the share that led to this page was not kept
 */
export async function fetchShared(): Promise<Share[]> {
  if (location.search === NOT_KEPT) {
    // Loading the page again is no share.
    history.replaceState(null, "", location.pathname + location.hash);
    throw new Failure({
      code: "bad-data",
      what: "What was shared could not be kept: it held no images, or more than there is room for.",
      remedy: "Share fewer at a time, or choose them here in the panel they are for.",
    });
  }
  if (!navigator.serviceWorker?.controller) return [];
  const waiting: SharedFile[] = await (await fetch(box())).json();
  const shares = new Map<number, Share>();
  for (const { at, name, url } of waiting) {
    const share = shares.get(at) ?? { at, files: [], urls: [] };
    shares.set(at, share);
    // Telephones give many files the same name.
    const path = `${share.files.length + 1} ${name}`;
    share.urls.push(url);
    share.files.push({ path, blob: await (await fetch(url)).blob() });
  }
  return [...shares.values()].sort((a, b) => a.at - b.at);
}

/** Lets go of these; what was shared since still waits. */
export async function forgetShared(shares: readonly Share[]): Promise<void> {
  for (const url of shares.flatMap(({ urls }) => urls)) await fetch(url, { method: "DELETE" });
}
