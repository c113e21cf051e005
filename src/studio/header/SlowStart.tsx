// The engine has not started: why that may be, and what to press.
import { Alert, Button } from "@mantine/core";
import { Icon } from "../shared/Icon.tsx";
import { asksOneThread, hashOf, recipePart } from "../state/one_thread.ts";
import { SLOW_START } from "./slow_start.ts";

/** Loads the page again; what lay on it is put back. */
function startAgain(oneThread: boolean): void {
  const hash = hashOf(recipePart(location.hash), oneThread);
  history.replaceState(null, "", location.pathname + location.search + hash);
  location.reload();
}

export function SlowStart() {
  const withThreads = !asksOneThread(location.hash);
  return (
    <div className="failures" role="alert">
      <Alert
        className="failure"
        color="yellow"
        variant="default"
        title="The engine has not started"
        icon={<Icon name="warning" className="tone-warning" />}
      >
        <p>
          It takes less than {SLOW_START / 1000} seconds on most machines. A slow connection or a busy
          computer may be the reason, and then it still comes.{" "}
          <strong>
            {withThreads
              ? "Wait, load the page again, or try without threads, which is slower and asks less of the browser."
              : "Wait, load the page again, or try another browser."}
          </strong>
        </p>
        <div className="row wraps" style={{ marginTop: 8 }}>
          <Button size="xs" onClick={() => startAgain(false)}>
            Reload
          </Button>
          {withThreads && (
            <Button size="xs" variant="default" onClick={() => startAgain(true)}>
              Try without threads
            </Button>
          )}
        </div>
      </Alert>
    </div>
  );
}
