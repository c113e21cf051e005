// What this browser keeps for the studio, how large it is, what could not be read of it, and the ways to make room.
import { Button } from "@mantine/core";
import { useState } from "react";
import type { KeptThing, SetAside } from "../../session/keep.ts";
import { Dialog } from "../shared/Dialog.tsx";
import { formatBytes, plural } from "../shared/format.ts";
import { save } from "../shared/save.ts";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import { asideZip } from "./aside_file.ts";
import classes from "./Runs.module.css";

const kinds: Record<KeptThing["kind"], string> = {
  model: "Model",
  images: "Images",
  state: "Weights of a run",
  runs: "Results",
};

export function Storage({ label = "Storage" }: { label?: string }) {
  const { sitting } = useStudio();
  const elsewhere = useSitting((state) => state.status === "elsewhere");
  const off = useSitting((state) => state.status === "off");
  const running = useSession((state) => state.running);
  const onPage = useSession((state) => state.run.id);
  const [kept, setKept] = useState<Awaited<ReturnType<typeof sitting.things>> | null>(null);
  const [sure, setSure] = useState(false);
  const locked = running || elsewhere;

  async function show() {
    setSure(false);
    setKept(await sitting.things());
  }
  async function makeRoom() {
    await sitting.removeStates(states);
    // What was refused may fit now.
    await sitting.keepAgain();
    await show();
  }
  async function forget() {
    await sitting.forget();
    await show();
  }
  const states = (kept?.things ?? []).flatMap(({ kind, id }) =>
    kind === "state" && id !== null && id !== onPage ? [id] : [],
  );
  return (
    <>
      <Button size="compact-xs" variant="default" onClick={show}>
        {label}
      </Button>
      <Dialog opened={kept !== null} onClose={() => setKept(null)} title="Kept in this browser" size={560}>
        <div className="stack">
          <p>
            {off
              ? "This browser keeps nothing for the page. Export what should stay."
              : elsewhere
                ? "The studio is open in another tab, which keeps what is loaded there."
                : "So that a reload loses nothing: the model, the images, the last runs. None of it leaves this machine."}
          </p>
          {kept?.things.length === 0 ? (
            <p className="dim">Nothing is kept.</p>
          ) : (
            <div className={classes.scroll}>
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
            </div>
          )}
          {kept?.room && (
            <p className="dim">
              In all {formatBytes(kept.room.used)} of {formatBytes(kept.room.quota)} that this browser gives
              the page; models fetched by name are counted too.
            </p>
          )}
          {kept && kept.aside.length > 0 && <Aside aside={kept.aside} onRemove={show} />}
          {states.length > 0 && (
            <div className="row wraps">
              <Button variant="default" disabled={locked} onClick={makeRoom}>
                Delete the weights of {plural(states.length, "older run")}
              </Button>
              <span className="dim">Their results stay; they can no longer be opened again.</span>
            </div>
          )}
          {(kept?.things.length ?? 0) + (kept?.aside.length ?? 0) > 0 && (
            <div className="row wraps">
              {sure ? (
                <>
                  <Button color="red" disabled={locked} onClick={forget}>
                    Forget it for good
                  </Button>
                  <Button variant="default" onClick={() => setSure(false)}>
                    Keep it
                  </Button>
                </>
              ) : (
                <Button variant="default" disabled={locked} onClick={() => setSure(true)}>
                  Forget everything
                </Button>
              )}
              {elsewhere && <span className="dim">Only in the tab that has it.</span>}
              {running && <span className="dim">Not while a run is under way.</span>}
            </div>
          )}
        </div>
      </Dialog>
    </>
  );
}

/** What could not be read: why, and what can be done with it. Nothing of it goes by itself. */
function Aside({ aside, onRemove }: { aside: readonly SetAside[]; onRemove: () => Promise<void> }) {
  const { sitting } = useStudio();
  const [failed, setFailed] = useState(false);
  async function download(key: string) {
    try {
      const entry = await sitting.takeAside(key);
      if (entry) save("selora-set-aside.zip", await asideZip(entry));
    } catch {
      setFailed(true);
    }
  }
  async function remove(key: string) {
    await sitting.removeAside(key);
    await onRemove();
  }
  return (
    <section aria-label="Set aside" className="stack">
      <p>
        <strong>{plural(aside.length, "thing")} set aside</strong>, as {aside.length === 1 ? "it" : "they"}{" "}
        cannot be read. Nothing of this is deleted by itself.
      </p>
      {failed && <p role="alert">The browser can no longer read its bytes.</p>}
      <ul className={classes.list}>
        {aside.map(({ key, name, why, bytes }) => (
          <li key={key}>
            <p>
              {name}{" "}
              <span className="dim">
                {formatBytes(bytes)}; {why}
              </span>
            </p>
            <Button variant="default" aria-label={`Download ${name}`} onClick={() => download(key)}>
              Download
            </Button>
            <Button variant="subtle" color="red" aria-label={`Delete ${name}`} onClick={() => remove(key)}>
              Delete
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
