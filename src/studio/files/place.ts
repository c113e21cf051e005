// Where files go that are known to be images: names for their sets, which no other set has.
import type { DataRole, SourceFile } from "../../session/protocol.ts";
import type { SessionStore } from "../state/session_store.ts";
import { nameOfDrop, splitDrop } from "./dropped.ts";

/** What a set is called whose files have no one name. */
const fallback: Record<DataRole, string> = {
  target: "Target",
  ood: "OOD",
  retention: "Retention",
  keep: "Keep",
};

/**
 * Loads the files of a drop for a role: as one set, or several zips each as a set of its own, but for a target, which is one.
 * @param wanted name of the set, where there is one
 */
export function loadSets(
  session: SessionStore,
  role: DataRole,
  files: SourceFile[],
  seed: number,
  wanted = "",
): void {
  const taken = new Set(role === "target" ? [] : session.getState().data.map((one) => one.name));
  const parts = role === "target" ? [files] : splitDrop(files);
  for (const part of parts) {
    const name = (parts.length === 1 && wanted) || nameOfDrop(part) || fallback[role];
    void session.loadData(role, freeName(name, taken), part, seed);
  }
}

/** A name that no other set has. */
function freeName(wanted: string, taken: Set<string>): string {
  let free = wanted;
  for (let n = 2; taken.has(free); n++) free = `${wanted} ${n}`;
  taken.add(free);
  return free;
}
