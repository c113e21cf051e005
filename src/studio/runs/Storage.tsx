// What this browser keeps for the studio, how large it is, and one button to forget it all.
import { Button } from "@mantine/core";
import { useState } from "react";
import type { KeptThing } from "../../session/keep.ts";
import { Dialog } from "../shared/Dialog.tsx";
import { formatBytes } from "../shared/format.ts";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import classes from "./Runs.module.css";

const kinds: Record<KeptThing["kind"], string> = {
  model: "Model",
  images: "Images",
  state: "Weights of a run",
  runs: "Results",
};

export function Storage() {
  const { sitting } = useStudio();
  const status = useSitting((state) => state.status);
  const running = useSession((state) => state.running);
  const [kept, setKept] = useState<Awaited<ReturnType<typeof sitting.things>> | null>(null);
  const [sure, setSure] = useState(false);

  async function show() {
    setSure(false);
    setKept(await sitting.things());
  }
  async function forget() {
    await sitting.forget();
    await show();
  }
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={show}>
        Storage
      </Button>
      <Dialog opened={kept !== null} onClose={() => setKept(null)} title="Kept in this browser" size={480}>
        <div className="stack">
          <p>
            {status === "elsewhere"
              ? "The studio is open in another tab; what is loaded there is kept for a reload, what is loaded here is not."
              : "So that a reload loses nothing: the model, the images, the last runs. None of it leaves this machine."}
          </p>
          {kept?.things.length === 0 ? (
            <p className="dim">Nothing is kept.</p>
          ) : (
            <table className={classes.table}>
              <thead>
                <tr>
                  <th scope="col">What</th>
                  <th scope="col">Name</th>
                  <th scope="col" className={classes.number}>
                    Size
                  </th>
                </tr>
              </thead>
              <tbody>
                {kept?.things.map((thing, i) => (
                  <tr key={i}>
                    <td>{kinds[thing.kind]}</td>
                    <th scope="row">{thing.name}</th>
                    <td className={classes.number}>{formatBytes(thing.bytes)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {kept?.room && (
            <p className="dim">
              In all {formatBytes(kept.room.used)} of {formatBytes(kept.room.quota)} that this browser gives
              the page; models fetched by name are counted too.
            </p>
          )}
          {(kept?.things.length ?? 0) > 0 && (
            <div className="row">
              {sure ? (
                <>
                  <Button color="red" disabled={running} onClick={forget}>
                    Forget it for good
                  </Button>
                  <Button variant="default" onClick={() => setSure(false)}>
                    Keep it
                  </Button>
                </>
              ) : (
                <Button variant="default" disabled={running} onClick={() => setSure(true)}>
                  Forget everything
                </Button>
              )}
              {running && <span className="dim">Not while a run is under way.</span>}
            </div>
          )}
        </div>
      </Dialog>
    </>
  );
}
