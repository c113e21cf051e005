// Files that are called images and are none, looked for while a folder is listed: empty ones by their size, others by their
// first bytes. In Chromium a look into a file costs a millisecond, so that of a large folder an even part is looked into;
// the rest is when it is decoded (pixels.ts).
import { sniffFormat } from "./header.ts";
import { leaveOut } from "./not_images.ts";
import type { DataIssue } from "./types.ts";
import type { FoundFile } from "./zip.ts";

/** Most files that are looked into while listing. */
export const LOOKED_INTO = 1000;
const AT_ONCE = 16;

/**
 * Leaves out what is no image whatever it is called, and says so.
 * @param images by their names
 * @param issues is given what there is to say
 * @param goOn asked at each look; throws to give up
 */
export async function checkFiles(
  images: FoundFile[],
  issues: DataIssue[],
  goOn: () => void = () => {},
): Promise<FoundFile[]> {
  const full = images.filter(({ size }) => size > 0);
  const looked = Math.min(LOOKED_INTO, full.length);
  const sample = Array.from(
    { length: looked },
    (_, i) => full[Math.floor(((i + 0.5) * full.length) / looked)],
  );
  const doubtful = new Map<FoundFile, Uint8Array>();
  const look = async (from: number) => {
    for (let i = from; i < sample.length; i += AT_ONCE) {
      goOn();
      const file = sample[i] as FoundFile;
      // What cannot be read at all is named when it is decoded.
      const head = await file.head().catch(() => null);
      if (head && sniffFormat(head) === null) doubtful.set(file, head);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, from) => look(from)));
  if (full.length === images.length && doubtful.size === 0) return images;
  return leaveOut(images, doubtful, looked, issues);
}
