// From what a browser hands over, a drop or a file input, to the studio's source files. Nothing is read here: a file
// is a path and a Blob, and fifty thousand of them are a list.
import { fromEvent } from "file-selector";
import type { SourceFile } from "../../session/protocol.ts";

/** Path inside the drop: no leading `/` or `./`. */
const tidyPath = (path: string) => path.replace(/^(\.?\/)+/, "");

const toSource = (file: File & { path?: string }): SourceFile => ({
  path: tidyPath(file.path || file.webkitRelativePath || file.name),
  blob: file,
});

/**
 * Files of a drop, folders walked to their ends. Must be called while the drop event is being handled: a browser
 * hides its items afterwards.
 */
export async function filesFromDrop(event: DragEvent): Promise<SourceFile[]> {
  const loose = [...(event.dataTransfer?.files ?? [])];
  try {
    const files = await fromEvent(event);
    return files.filter((one) => one instanceof File).map(toSource);
  } catch {
    // A drop made by a script has no entry behind its items; its plain files are there all the same.
    return loose.map(toSource);
  }
}

/** Files chosen in an input, with their folders where a folder was chosen. */
export const filesFromInput = (files: FileList | null): SourceFile[] => [...(files ?? [])].map(toSource);

const withoutEnding = (name: string) => name.replace(/\.(zip|safetensors|pth?|bin|ckpt)$/i, "");

/** A name for what was dropped: its one root folder or its one file; null when there are several. */
export function nameOfDrop(files: SourceFile[]): string | null {
  const roots = new Set(files.map(({ path }) => path.split("/")[0] ?? ""));
  const [root] = roots;
  return roots.size === 1 && root ? withoutEnding(root) : null;
}

/** Parts that are each a set of their own: several zips dropped at once are several sets, anything else is one. */
export function splitDrop(files: SourceFile[]): SourceFile[][] {
  const zips = files.length > 1 && files.every(({ path }) => /^[^/]+\.zip$/i.test(path));
  return zips ? files.map((file) => [file]) : [files];
}
