// The demo's finished run, as it was made by demo/finish.ts: fetched from the studio's own origin and believed in nothing
// until it is checked. Whether it was made on what is loaded is checked where it is taken up.
import { z } from "zod";
import { Failure } from "../../failure.ts";
import { historySchema, type RunHistory } from "../../session/keep.ts";
import type { SavedRun } from "../../session/protocol.ts";
import { savedRunSchema } from "../../session/saved_run.ts";
import { unpackJson } from "../../session/saved_run_files.ts";

const finishedSchema = z.object({ saved: savedRunSchema, history: historySchema });

export interface FinishedRun {
  saved: SavedRun;
  history: RunHistory;
}

/** @throws Failure "bad-file" where it cannot be fetched or read */
export async function fetchFinishedRun(): Promise<FinishedRun> {
  const path = "demo/finished.run";
  try {
    const response = await fetch(`${import.meta.env.BASE_URL}${path}`);
    if (!response.ok || !response.body) throw new Error(`answered with ${response.status}`);
    const text = await new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).text();
    return finishedSchema.parse(unpackJson(text)) as unknown as FinishedRun;
  } catch (cause) {
    throw new Failure(
      {
        code: "bad-file",
        what: "The finished run of the demo could not be read.",
        where: path,
        remedy: "Try the demo instead: it makes the same run.",
      },
      { cause },
    );
  }
}
