// A model from the Hugging Face Hub or an address, and the models that were fetched before. This is the one place of the
// page that asks another server for anything, and it does so when Fetch is pressed and not before.
import { ActionIcon, Button, Collapse, PasswordInput, Progress, TextInput, Tooltip } from "@mantine/core";
import { type FormEvent, useEffect, useId, useState } from "react";
import type { SourceFile } from "../../session/protocol.ts";
import { formatBytes, formatDuration } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { useLibrary, useSession, useStudio } from "../state/studio.ts";
import styles from "./FetchModel.module.css";

const HUB = "https://huggingface.co";

export function FetchModel({ onFiles }: { onFiles: (files: SourceFile[]) => void }) {
  const { library, session } = useStudio();
  const fetching = useLibrary((state) => state.fetching);
  const running = useSession((state) => state.running);
  const [shown, setShown] = useState(false);
  const [more, setMore] = useState(false);
  const [model, setModel] = useState("");
  const [revision, setRevision] = useState("");
  const [token, setToken] = useState("");
  const [server, setServer] = useState(HUB);
  const id = useId();
  const open = shown || fetching !== null;

  useEffect(() => {
    if (shown) library.list().catch(session.addFailure);
  }, [shown, library, session]);

  async function take(from: Promise<{ files: SourceFile[]; note: string | null }>) {
    try {
      const { files, note } = await from;
      if (note) session.addNotice(note);
      if (session.getState().running) session.addNotice("The model has come; open it when the run is over.");
      else onFiles(files);
    } catch (error) {
      session.addFailure(error);
    }
  }

  function ask(name: string, at: string) {
    void take(library.fetch({ model: name, revision: at, token, hubUrl: server }));
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (model.trim() !== "") ask(model.trim(), revision);
  }

  return (
    <div className={styles.part}>
      <button type="button" className="linkish" aria-expanded={open} onClick={() => setShown(!shown)}>
        <Icon name="right" />
        From the Hugging Face Hub, or an address
      </button>
      {fetching && <Coming />}
      {open && (
        <>
          <form className={styles.part} onSubmit={submit}>
            <label htmlFor={id}>Name on the Hub, or address of a file or folder</label>
            <div className="row">
              <TextInput
                id={id}
                className="grow"
                placeholder="facebook/dinov2-small"
                autoCapitalize="off"
                autoComplete="off"
                spellCheck={false}
                value={model}
                disabled={fetching !== null}
                onChange={(event) => setModel(event.currentTarget.value)}
              />
              <Button type="submit" disabled={running || fetching !== null || model.trim() === ""}>
                Fetch
              </Button>
            </div>
            <button type="button" className="linkish" aria-expanded={more} onClick={() => setMore(!more)}>
              <Icon name="right" />
              Revision, token, another server
            </button>
            <Collapse expanded={more}>
              <div className={styles.part}>
                <TextInput
                  label="Revision"
                  placeholder="main"
                  description="A branch, tag or commit."
                  value={revision}
                  onChange={(event) => setRevision(event.currentTarget.value)}
                />
                <PasswordInput
                  size="xs"
                  label="Access token"
                  placeholder="hf_…"
                  autoComplete="off"
                  description="For private and gated models. Sent to the server below alone, and never stored."
                  value={token}
                  onChange={(event) => setToken(event.currentTarget.value)}
                />
                <TextInput
                  label="Server"
                  description="The Hub, or a mirror with its interface."
                  value={server}
                  onChange={(event) => setServer(event.currentTarget.value)}
                />
              </div>
            </Collapse>
            <p className={styles.promise}>
              <Icon name="lock" />
              <span>
                Only here does the page ask another server, and only when you press Fetch. It sends the
                model's name, never images or results.
              </span>
            </p>
          </form>
          <Kept onOpen={(one) => take(library.open(one))} onGoOn={ask} />
        </>
      )}
    </div>
  );
}

/** The model that is on its way. */
function Coming() {
  const { library } = useStudio();
  const fetching = useLibrary((state) => state.fetching);
  if (!fetching) return null;
  const { model, progress, stopping } = fetching;
  const total = progress?.total ?? null;
  const share = progress && total ? (100 * progress.done) / total : null;
  return (
    <div className="reading">
      <div className="row">
        <strong className="grow clip">{model}</strong>
        <Button
          size="compact-xs"
          variant="subtle"
          disabled={stopping}
          onClick={() => library.cancel()}
          aria-label={`Cancel fetching ${model}`}
        >
          Cancel
        </Button>
      </div>
      <Progress
        value={share ?? 100}
        animated={share === null}
        striped={share === null}
        size={4}
        aria-label={`Fetching ${model}`}
      />
      <div className="row dim">
        <span className="grow clip">{progress ? `Fetching ${progress.file}` : "Asking the server"}</span>
        {progress && (
          <span>
            {formatBytes(progress.done)}
            {total !== null && ` of ${formatBytes(total)}`}
            {progress.secondsLeft !== null && `, ${formatDuration(progress.secondsLeft)} left`}
          </span>
        )}
      </div>
    </div>
  );
}

interface KeptProps {
  onOpen: (id: string) => void;
  onGoOn: (model: string, revision: string) => void;
}

/** What was fetched before: how much room each takes, and ways to use it and to remove it. */
function Kept({ onOpen, onGoOn }: KeptProps) {
  const { library, session } = useStudio();
  const models = useLibrary((state) => state.models);
  const busy = useLibrary((state) => state.fetching !== null);
  const opened = useLibrary((state) => state.opened);
  const loaded = useSession((state) =>
    state.model && opened?.files === state.modelFiles ? opened.id : null,
  );
  const locked = useSession((state) => state.running || state.reading.length > 0);
  if (models === null || models.length === 0) return null;
  const sum = models.reduce((bytes, one) => bytes + one.bytes, 0);
  return (
    <section className={styles.part} aria-label="Models kept in this browser">
      <div className="row">
        <strong className="grow">Kept in this browser</strong>
        <span className="dim">{formatBytes(sum)}</span>
      </div>
      <ul className={styles.models}>
        {models.map(({ id, source, revision, commit, bytes, complete, problem }) => {
          const name = source.replace(/^https?:\/\//, "");
          const at = revision ?? commit?.slice(0, 7);
          return (
            <li key={id} className="row">
              <div className="grow clip" title={at ? `${source}, revision ${at}` : source}>
                <span>{name}</span>
                <span className="dim">
                  {" "}
                  {at && `${at}, `}
                  {formatBytes(bytes)}
                  {problem !== null ? `: ${problem}` : !complete && ", not whole"}
                </span>
              </div>
              <Button
                size="compact-xs"
                variant="default"
                disabled={busy || locked || loaded === id || (problem !== null && source === id)}
                aria-label={complete ? `Open ${name}` : `Fetch the rest of ${name}`}
                onClick={() => (complete ? onOpen(id) : onGoOn(source, revision ?? ""))}
              >
                {loaded === id ? "In use" : complete ? "Open" : "Go on"}
              </Button>
              <Tooltip label={loaded === id ? "It is in use" : "Remove"}>
                <ActionIcon
                  size="sm"
                  variant="subtle"
                  aria-label={`Remove ${name}`}
                  disabled={busy || loaded === id}
                  onClick={() => library.remove(id).catch(session.addFailure)}
                >
                  <Icon name="cross" />
                </ActionIcon>
              </Tooltip>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
