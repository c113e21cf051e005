// A drop beside every place meant for one. While something is dragged over the page it says what will become of it; then
// it sorts what came, asks where two places are possible, and says what was wrong.
import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useCallback, useEffect, useRef, useState } from "react";
import type { DataRole, SourceFile } from "../../session/protocol.ts";
import { nameOfDrop, takeDrop } from "../files/dropped.ts";
import { loadSets } from "../files/place.ts";
import { ReadingBar } from "../input/ReadingBar.tsx";
import { useSession, useStudio } from "../state/studio.ts";
import classes from "./DropAnywhere.module.css";

/** Files that may go to several places, by what the person is asked. */
interface Asked {
  name: string;
  files: SourceFile[];
  /** model: its weights or its pictures are meant · role: which images they are */
  what: "model" | "role";
}

const roles: [role: DataRole, title: string, line: string][] = [
  ["target", "Target", "What is to be learned, in place of the target there is"],
  ["ood", "OOD", "The same classes in another style"],
  ["retention", "Retention", "What the model knew before"],
];
const titleOf: Record<DataRole, string> = {
  target: "Target images",
  ood: "OOD images",
  retention: "Retention images",
  keep: "Images to stay the same on",
};

const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
/** A place of its own takes its own drops. */
const hasPlace = (event: DragEvent) => (event.target as Element | null)?.closest?.(".drop") != null;

export function DropAnywhere() {
  const { session, recipe } = useStudio();
  const running = useSession((state) => state.running);
  const looked = useSession((state) => state.reading.some(({ what }) => what === "drop"));
  const failed = useSession((state) => state.failures.some(({ at }) => at === "drop"));
  const [over, setOver] = useState<"page" | "place" | null>(null);
  const [asked, setAsked] = useState<Asked[]>([]);
  const [next] = asked;

  const toImages = useCallback(
    (name: string, files: SourceFile[], role: DataRole) => {
      loadSets(session, role, files, recipe.getState().recipe.seed);
      notifications.show({ message: `${name} goes to ${titleOf[role]}.`, autoClose: 5000 });
    },
    [session, recipe],
  );
  const toModel = useCallback(
    (name: string, files: SourceFile[]) => {
      void session.loadModel(files);
      notifications.show({ message: `${name} goes to Model.`, autoClose: 5000 });
    },
    [session],
  );

  const take = useCallback(
    async (dropped: ReturnType<typeof takeDrop>) => {
      setAsked([]);
      const files = await session.find("drop", dropped);
      const sorted = files && (await session.sort(dropped.name, files));
      if (!sorted || !(await session.mayDropRun())) return;
      const called = (some: SourceFile[]) => nameOfDrop(some) ?? dropped.name;
      if (sorted.model.length > 0) toModel(called(sorted.model), sorted.model);
      const hasTarget =
        session.getState().data.some(({ role }) => role === "target") ||
        session.getState().reading.some(({ what }) => what === "target");
      // The first images are to be learned; of any others only the person knows.
      const [first, ...others] = sorted.images;
      if (first && !hasTarget) toImages(called(first), first, "target");
      const open = hasTarget ? sorted.images : others;
      setAsked([
        ...(sorted.either.length > 0
          ? [{ name: called(sorted.either), files: sorted.either, what: "model" as const }]
          : []),
        ...open.map((set) => ({ name: called(set), files: set, what: "role" as const })),
      ]);
    },
    [session, toImages, toModel],
  );

  const locked = useRef(running);
  locked.current = running;
  useEffect(() => {
    const enter = (event: DragEvent) => {
      if (hasFiles(event)) setOver(hasPlace(event) ? "place" : "page");
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(null);
    };
    const drop = (event: DragEvent) => {
      setOver(null);
      if (hasFiles(event) && !hasPlace(event) && !locked.current) void take(takeDrop(event));
    };
    addEventListener("dragenter", enter);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, [take]);

  const answer = (use: (one: Asked) => void) => {
    if (next) use(next);
    setAsked(asked.slice(1));
  };
  if (over === "page")
    return (
      <div className={classes.over} role="status">
        <strong>{running ? "A run is under way" : "Drop it anywhere"}</strong>
        <span>
          {running
            ? "Stop it, or wait for its end, to load something else."
            : "A model goes to Model, pictures to Target images; where there is a target already, you are asked."}
        </span>
      </div>
    );
  if (!next && !looked && !failed) return null;
  return (
    <section className={classes.card} aria-label="What was dropped">
      <ReadingBar what="drop" />
      {next && (
        <>
          <p>
            {next.what === "model" ? (
              <>
                <strong>{next.name}</strong> holds weights and pictures. Which are meant?
              </>
            ) : (
              <>
                Where do the images of <strong>{next.name}</strong> go?
              </>
            )}
          </p>
          <div className="row wraps">
            {next.what === "model" ? (
              <>
                <Button size="xs" onClick={() => answer(({ name, files }) => toModel(name, files))}>
                  The model
                </Button>
                <Button
                  size="xs"
                  variant="default"
                  onClick={() => setAsked([{ ...next, what: "role" }, ...asked.slice(1)])}
                >
                  The pictures
                </Button>
              </>
            ) : (
              roles.map(([role, title, line]) => (
                <Button
                  key={role}
                  size="xs"
                  variant="default"
                  title={line}
                  onClick={() => answer(({ name, files }) => toImages(name, files, role))}
                >
                  {title}
                </Button>
              ))
            )}
            <Button size="xs" variant="subtle" onClick={() => answer(() => {})}>
              Nowhere
            </Button>
          </div>
        </>
      )}
    </section>
  );
}
