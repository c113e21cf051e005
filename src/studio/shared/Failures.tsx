// What went wrong, where, and what to do; it stays until it is dismissed.
import { Alert, Button } from "@mantine/core";
import type { FailureCode } from "../../failure.ts";
import type { Loss } from "../state/session_store.ts";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import { Icon } from "./Icon.tsx";
import { lossWords } from "./loss.ts";

const titles: Record<FailureCode, string> = {
  "bad-file": "A file cannot be read",
  "bad-model": "The model cannot be used",
  "bad-data": "The images cannot be used",
  "bad-recipe": "The recipe cannot be run",
  network: "A server did not answer as it should",
  gpu: "The graphics device failed",
  lost: "The graphics device failed",
  numeric: "The numbers ran away",
  cancelled: "Cancelled",
  state: "That did not work",
};

export function Failures() {
  const { session } = useStudio();
  const failures = useSession((state) => state.failures);
  const loss = useSession((state) => state.loss);
  return (
    <div className="failures" role="alert" hidden={failures.length === 0 && loss === null}>
      {loss && <LostDevice loss={loss} />}
      {failures.map(({ id, parts }) => (
        <Alert
          key={id}
          className="failure"
          color="red"
          variant="default"
          title={titles[parts.code]}
          icon={<Icon name="error" />}
          withCloseButton
          closeButtonLabel="Dismiss"
          onClose={() => session.dismissFailure(id)}
        >
          {parts.where && <p className="failure-where">{parts.where}</p>}
          <p>
            {parts.what} <strong>{parts.remedy}</strong>
          </p>
          {/* The sentence above names the first three itself. */}
          {parts.details && parts.details.length > 3 && (
            <details>
              <summary>All {parts.details.length} problems</summary>
              <ul className="failure-details">
                {parts.details.map((line) => (
                  <li key={line}>{line}</li>
                ))}
              </ul>
            </details>
          )}
        </Alert>
      ))}
    </div>
  );
}

function LostDevice({ loss }: { loss: Loss }) {
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
      title={titles.lost}
      icon={<Icon name="error" />}
      withCloseButton={dismissable}
      closeButtonLabel="Dismiss"
      onClose={session.dismissLoss}
    >
      <p>
        {what} <strong>{remedy}</strong>
      </p>
      {(offers.wasm || offers.again) && (
        <div className="row wraps">
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
