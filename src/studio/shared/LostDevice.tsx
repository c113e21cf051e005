// The graphics device was lost: what became of the run, and what to press where it does not come back by itself.
import { Alert, Button } from "@mantine/core";
import type { Loss } from "../state/session_store.ts";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import { Icon } from "./Icon.tsx";
import { lossWords } from "./loss.ts";

export function LostDevice({ loss, title }: { loss: Loss; title: string }) {
  const { session } = useStudio();
  const offered = useSitting(({ unfinished }) => unfinished?.failed?.code === "lost");
  const backend = useSession((state) => state.backend);
  const running = useSession((state) => state.running);
  const { what, remedy, offers, dismissable } = lossWords(loss, offered);
  return (
    <Alert
      className="failure"
      color="red"
      variant="default"
      title={title}
      icon={<Icon name="error" />}
      withCloseButton={dismissable}
      closeButtonLabel="Dismiss"
      onClose={session.dismissLoss}
    >
      <p>
        {what} <strong>{remedy}</strong>
      </p>
      {(offers.wasm || offers.again) && (
        <div className="row wraps" style={{ marginTop: 8 }}>
          {offers.wasm && (
            <Button size="xs" disabled={running} onClick={() => session.openAnew("wasm")}>
              Compute on the CPU
            </Button>
          )}
          {offers.again && (
            <Button size="xs" variant="default" disabled={running} onClick={() => session.openAnew(backend)}>
              Try the graphics device again
            </Button>
          )}
        </div>
      )}
    </Alert>
  );
}
