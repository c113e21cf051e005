// What went wrong, where, and what to do; it stays until it is dismissed.
import { Alert } from "@mantine/core";
import { Suspense } from "react";
import type { FailureCode } from "../../failure.ts";
import type { Told } from "../state/session_store.ts";
import { useSession, useStudio } from "../state/studio.ts";
import { Icon } from "./Icon.tsx";
import { part } from "./part.ts";

const LostDevice = part(async () => (await import("./LostDevice.tsx")).LostDevice);

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

/** What went wrong beside no place of its own: above the page. */
export function Failures() {
  const failures = useSession((state) => state.failures).filter(({ at }) => at === undefined);
  const loss = useSession((state) => state.loss);
  return (
    <div className="failures" role="alert" hidden={failures.length === 0 && loss === null}>
      {loss && (
        <Suspense>
          <LostDevice loss={loss} title={titles.lost} />
        </Suspense>
      )}
      {failures.map((told) => (
        <FailureBox key={told.id} told={told} />
      ))}
    </div>
  );
}

/** What went wrong with the files that last came in at a place, where they came in. */
export function FailureAt({ at }: { at: NonNullable<Told["at"]> }) {
  const failures = useSession((state) => state.failures).filter((one) => one.at === at);
  return (
    <div className="failures at" role="alert" hidden={failures.length === 0}>
      {failures.map((told) => (
        <FailureBox key={told.id} told={told} />
      ))}
    </div>
  );
}

function FailureBox({ told: { id, parts } }: { told: Told }) {
  const { session } = useStudio();
  return (
    <Alert
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
  );
}
