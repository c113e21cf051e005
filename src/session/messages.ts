// What crosses the worker's border: a request for each method of Session, its answer, and events.
import type { FailureParts } from "../failure.ts";
import type { Session, SessionEvent, SourceFile } from "./protocol.ts";

/** Session's methods that are carried as request and answer; `subscribe` is carried as events. */
export type Method = Exclude<keyof Session, "subscribe">;

export type Request = {
  [M in Method]: { id: number; method: M; args: Parameters<Session[M]> };
}[Method];

/** Some of the files of the request that has this id, which comes after the last of them without any; null: it will not. */
export interface Portion {
  id: number;
  files: SourceFile[] | null;
}

export type Answer =
  | { kind: "answer"; id: number; value: unknown }
  | { kind: "refusal"; id: number; failure: FailureParts }
  | { kind: "event"; event: SessionEvent };
