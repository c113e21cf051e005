// What is printed, where nobody may be listening any more: a reader that has gone (`| head`) ends nothing, and a full
// device is told in a sentence.

/** Why nothing more can be printed on stdout; null while it can. */
let stdoutFault: NodeJS.ErrnoException | null = null;

const isGone = ({ code }: NodeJS.ErrnoException) =>
  code === "EPIPE" || code === "ERR_STREAM_DESTROYED" || code === "ECONNRESET";

function write(name: "stdout" | "stderr", text: string): void {
  try {
    process[name].write(text);
  } catch (error) {
    note(name, error as NodeJS.ErrnoException);
  }
}

function note(name: "stdout" | "stderr", error: NodeJS.ErrnoException): void {
  if (name === "stdout" && !isGone(error)) stdoutFault ??= error;
}

/** A result, on stdout. */
export const print = (text: string) => write("stdout", text);

/** What happens, a line on stderr. */
export const say = (text: string) => write("stderr", `${text}\n`);

/** From here on a stream that breaks ends nothing. */
export function guardStreams(): void {
  for (const name of ["stdout", "stderr"] as const)
    process[name].on("error", (error: NodeJS.ErrnoException) => note(name, error));
}

/** Waits until all is printed. @returns `code`, or 1 where a result could not be printed for another reason than its reader's leaving */
export async function endStreams(code: number): Promise<number> {
  for (const name of ["stdout", "stderr"] as const) {
    const stream = process[name];
    // A stream that has broken calls back with why; one whose device throws has nothing on its way.
    await new Promise<void>((done) => {
      try {
        stream.write("", () => done());
      } catch {
        done();
      }
    });
  }
  if (!stdoutFault) return code;
  const full = stdoutFault.code === "ENOSPC";
  say(
    `What was to be printed could not be: ${full ? "there is no space left where stdout leads" : `stdout reports ${stdoutFault.code}`}. ` +
      "Files that were asked for are not affected.",
  );
  return code || 1;
}
