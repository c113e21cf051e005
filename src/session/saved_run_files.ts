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

/** A value as JSON, its typed arrays as base64. */
export function packJson(value: unknown): string {
  const plain = (_: string, one: unknown) => {
    if (!ArrayBuffer.isView(one)) return one;
    const bytes = new Uint8Array(one.buffer, one.byteOffset, one.byteLength);
    return { $array: one.constructor.name, base64: toBase64(bytes) };
  };
  return `${JSON.stringify(value, plain)}\n`;
}

/** What `packJson` was given. Throws where the text is no such JSON. */
export function unpackJson(text: string): unknown {
  return JSON.parse(text, (_: string, one: unknown) => {
    const array = packed.safeParse(one);
    return array.success ? fromBase64(array.data.$array, array.data.base64) : one;
  });
}

/** The two files of a saved run. */
export function writeSavedRun({ snapshot, ...run }: SavedRun): ExportedFile[] {
  const text = packJson({ ...run, stateBytes: snapshot.size });
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
    const { stateBytes, ...rest } = unpackJson(await run.text()) as Record<string, unknown>;
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
