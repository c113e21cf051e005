// The one error a person sees. Every room throws it at its edge: what happened, where, and what to do about it.

import type { DataQuestion } from "./dataset/types.ts";

/** Machine-readable kind of failure; the studio and the terminal choose icon and exit code by it. */
export type FailureCode =
  | "bad-file" // a file from outside is malformed or lies about itself
  | "bad-model" // the tensors are not a network we know, or do not fit together
  | "bad-data" // folders, classes or images that cannot be used
  | "bad-recipe" // a setting out of range
  | "network" // a server could not be reached, refused, or cut the connection
  | "gpu" // a shader failed, memory ran out, no device could be had
  | "lost" // the graphics device was taken away; what was on it is gone
  | "numeric" // a loss or a weight is not finite
  | "cancelled" // the person asked for it
  | "state"; // the call does not fit what is loaded or running

export interface FailureParts {
  code: FailureCode;
  /** What happened, one sentence. */
  what: string;
  /** Where: file, tensor, class or step. */
  where?: string;
  /** What the person can do, one sentence. */
  remedy: string;
  /** The same for one at a terminal, where it is another thing than in the studio. */
  inTerminal?: string;
  /** Every problem on its own line, where there are several; at most 500. */
  details?: string[];
  /** Of a doubt about images: what an answer to (`DataAnswers`) goes on with. */
  question?: DataQuestion;
}

/** An error meant for a person; survives a trip through `postMessage` as its plain `parts`. */
export class Failure extends Error {
  readonly parts: FailureParts;

  constructor(parts: FailureParts, options?: ErrorOptions) {
    super([parts.where ? `${parts.where}: ${parts.what}` : parts.what, parts.remedy].join(" "), options);
    this.name = "Failure";
    this.parts = parts;
  }

  /** What a terminal says. */
  get terminalMessage(): string {
    const { what, where, remedy, inTerminal = remedy } = this.parts;
    return [where ? `${where}: ${what}` : what, inTerminal].filter(Boolean).join(" ");
  }

  /** Wraps whatever was thrown, so that a caller always has parts to show. */
  static from(error: unknown): Failure {
    if (error instanceof Failure) return error;
    const text = error instanceof Error ? error.message : String(error);
    return new Failure(
      {
        code: "state",
        what: `Something unexpected happened: ${text}`,
        remedy: "Reload the page and try again.",
        inTerminal: "Run it again; with NODE_DEBUG=selora it also says where in the program that was.",
      },
      { cause: error },
    );
  }
}
