// Says when a newer version of the studio is ready. It never takes over by itself, and not under a run.
import { Button, Tooltip } from "@mantine/core";
import { useStore } from "zustand";
import { useSession } from "../state/studio.ts";
import { createOffline } from "./offline.ts";

const offline = createOffline();

export function Update() {
  const { update, reload } = useStore(offline);
  const busy = useSession((state) => state.running || state.exporting || state.reading.length > 0);
  if (!update) return null;
  return (
    <Tooltip
      label={
        busy ? "It can be loaded once the work under way has ended" : "What is on the page is there again"
      }
    >
      <Button
        variant="light"
        data-disabled={busy || undefined}
        aria-disabled={busy}
        onClick={busy ? undefined : reload}
      >
        A new version is ready: reload
      </Button>
    </Tooltip>
  );
}
