// What a telephone gives a page, as far as anything is known of it.
import { Failure } from "../failure.ts";

const GIB = 2 ** 30;

/** What a browser says of its machine. */
export interface Machine {
  userAgent?: string;
  /** In GiB, rounded, and not said by every browser. */
  deviceMemory?: number;
}

/**
 * Bytes that a run may hold before the system ends the page without a word; null where nothing is known to do that. No
 * telephone tells its limit. Pages on iPhones are reported to end at about 1.5 GiB, on Android at about 1 GiB or earlier
 * where there is little memory; the studio itself takes some hundred MiB of that.
 */
export function roomOf({ userAgent = "", deviceMemory = 4 }: Machine): number | null {
  if (/iPhone|iPod/.test(userAgent)) return GIB;
  if (/Android/.test(userAgent)) return Math.min(0.75, deviceMemory / 4) * GIB;
  return null;
}

/** @throws Failure before anything is allocated, where a telephone would end the page under the work */
export function checkRoom(
  bytes: number,
  code: "bad-model" | "bad-recipe",
  machine: Machine = globalThis.navigator ?? {},
): void {
  const room = roomOf(machine);
  if (room === null || bytes <= room) return;
  const gigabytes = (value: number) => `${(value / GIB).toFixed(1)} GB`;
  throw new Failure({
    code,
    what: `${code === "bad-model" ? "The model" : "A run with this recipe"} takes about ${gigabytes(bytes)} of memory, and a telephone ends a page that takes more than about ${gigabytes(room)}.`,
    remedy:
      code === "bad-model"
        ? "Take a smaller model, or open the studio on a computer."
        : "Take a smaller batch, rank or model, or open the studio on a computer.",
  });
}
