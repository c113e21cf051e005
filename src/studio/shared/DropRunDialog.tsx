// Asked before a finished run is dropped, because what it was made of is about to change.
import { Button } from "@mantine/core";
import { useSession } from "../state/studio.ts";
import { Dialog } from "./Dialog.tsx";

export function DropRunDialog() {
  const asked = useSession((state) => state.asked);
  return (
    <Dialog
      opened={asked !== null}
      onClose={() => asked?.goOn(false)}
      title="Drop the finished run?"
      size="md"
    >
      <p>
        What you are about to change is part of the last run. Its gates, accuracies and weights will be gone;
        to keep the weights, export them first.
      </p>
      <div className="row" style={{ marginTop: 16, justifyContent: "flex-end" }}>
        <Button variant="default" data-autofocus onClick={() => asked?.goOn(false)}>
          Keep the run
        </Button>
        <Button color="red.9" onClick={() => asked?.goOn(true)}>
          Drop it and go on
        </Button>
      </div>
    </Dialog>
  );
}
