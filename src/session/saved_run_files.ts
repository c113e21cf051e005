// A saved run on a disk: its tensors as they are (training/snapshot_file.ts), and all else as JSON beside them, typed
// arrays as base64. The shape is that of every saved run; what comes back is believed in nothing until it is checked.
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { ExportedFile, SavedRun } from "./protocol.ts";
import { savedRunSchema } from "./saved_run.ts";

/** Names of the two files. The second is no `.safetensors`, so that nothing takes it for a model. */
export const savedRunNames = { run: "saved_run.json", state: "saved_run.state" } as const;

const kinds = { Float32Array, Int32Array, Uint8Array };
type Kind = keyof typeof kinds;
const packed = z.strictObject({
  $array: z.enum(["Float32Array", "Int32Array", "Uint8Array"]),
  base64: z.string(),
});

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fromBase64(kind: Kind, text: string): InstanceType<(typeof kinds)[Kind]> {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new kinds[kind](bytes.buffer);
}

/** The two files of a saved run. */
export function writeSavedRun({ snapshot, ...run }: SavedRun): ExportedFile[] {
  const plain = (_: string, value: unknown) => {
    if (!ArrayBuffer.isView(value)) return value;
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return { $array: value.constructor.name, base64: toBase64(bytes) };
  };
  const text = `${JSON.stringify({ ...run, stateBytes: snapshot.size }, plain)}\n`;
  return [
    { path: savedRunNames.run, blob: new Blob([text], { type: "application/json" }) },
    { path: savedRunNames.state, blob: snapshot },
  ];
}

/**
 * Reads what `writeSavedRun` wrote.
 * @throws Failure "bad-file" when the two are not whole, do not belong together, or are something else
 */
export async function readSavedRun(run: Blob, state: Blob): Promise<SavedRun> {
  try {
    const revive = (_: string, value: unknown) => {
      const array = packed.safeParse(value);
      return array.success ? fromBase64(array.data.$array, array.data.base64) : value;
    };
    const { stateBytes, ...rest } = JSON.parse(await run.text(), revive);
    if (stateBytes !== state.size) throw new Error("another state");
    return savedRunSchema.parse({ ...rest, snapshot: state }) as SavedRun;
  } catch (cause) {
    throw new Failure(
      {
        code: "bad-file",
        what: "What was saved of the run cannot be read.",
        where: savedRunNames.run,
        remedy: "Start the run anew.",
      },
      { cause },
    );
  }
}
