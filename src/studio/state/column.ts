// Which of the columns a narrow page shows: at first what this is, the run once one is under way, what came out of it once
// it has ended; in between whatever the person turns to.
import { useEffect, useState } from "react";
import { useRunner, useSession } from "./studio.ts";

export type Column = "input" | "watch" | "results";

export function useColumn(): [column: string, turnTo: (column: string) => void] {
  const [chosen, choose] = useState<string | null>(null);
  const empty = useSession(
    ({ model, data, reading }) =>
      (model === null && data.length === 0) || reading.some(({ what }) => what === "demo"),
  );
  const running = useSession((state) => state.running);
  const busy = useRunner((state) => state.busy);
  const done = useSession((state) => state.run.result !== null);
  const phase: Column | null = running || busy ? "watch" : done ? "results" : null;
  useEffect(() => {
    if (phase !== null) choose(phase);
  }, [phase]);
  return [chosen ?? (empty ? "watch" : "input"), choose];
}
