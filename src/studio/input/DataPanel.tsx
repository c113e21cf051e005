// One role's images: the target, the other styles (OOD), what the model knew before (retention), or any at all on which
// it is to stay as it was (keep).
import { TextInput } from "@mantine/core";
import { Suspense, useState } from "react";
import type { DataRole, SourceFile } from "../../session/protocol.ts";
import { loadSets } from "../files/place.ts";
import { DemoLink } from "../shared/DemoButton.tsx";
import { Panel } from "../shared/Panel.tsx";
import { part } from "../shared/part.ts";
import { useSession, useStudio } from "../state/studio.ts";
import { DropZone } from "./DropZone.tsx";
import { ReadingBar } from "./ReadingBar.tsx";

const Corruptions = part(async () => (await import("./Corruptions.tsx")).Corruptions);
const DataQuestions = part(async () => (await import("./DataQuestions.tsx")).DataQuestions);
const DataSet = part(async () => (await import("./DataSet.tsx")).DataSet);

interface RoleWords {
  title: string;
  help: string;
  subject: string;
  empty: string;
  more: string;
  tree: string;
}

const wordsOf: Record<DataRole, RoleWords> = {
  target: {
    title: "Target images",
    help: "What the model is to learn: a folder of images for each class. A part is held out to measure on.",
    subject: "target images",
    empty: "Drop a folder or a zip, or choose",
    more: "Replace by another",
    tree: `my-images/      or   my-images/
├ cat/               ├ train/
│ ├ 001.jpg          │ ├ cat/ …
│ └ 002.png          │ └ dog/ …
└ dog/               └ val/
  └ 003.jpg            └ …`,
  },
  ood: {
    title: "OOD images",
    help: "Out of distribution: the same classes in another style or place. They are never trained on; they show whether what was learned carries over.",
    subject: "OOD images",
    empty: "The same classes in another style. Each folder or zip is a set of its own:",
    more: "Another style",
    tree: `sketches/
├ cat/ …
└ dog/ …`,
  },
  retention: {
    title: "Retention images",
    help: "Images of what the model knew before, judged by its own classifier; without one by its text tower, or by which images are nearest. They show what it forgets.",
    subject: "retention images",
    empty: "Classes named as the model's own labels:",
    more: "Another set",
    tree: `what-it-knew/
├ tabby cat/ …
└ teapot/ …`,
  },
  keep: {
    title: "Images to stay the same on",
    help: "Any images, without classes: while the run learns, the network is held to what it made of them before. They are never measured. With none, it is held on the target images alone.",
    subject: "images to stay the same on",
    empty: "Any folder of pictures like those the model was good at; no class folders needed:",
    more: "Another set",
    tree: `any-pictures/
├ 001.jpg
└ more/ …`,
  },
};

export function DataPanel({ of: role }: { of: DataRole }) {
  const { session, recipe } = useStudio();
  const all = useSession((state) => state.data);
  const sets = all.filter((one) => one.role === role && one.corruption === null);
  const running = useSession((state) => state.running);
  const reading = useSession((state) => state.reading.some((one) => one.what === role));
  const asked = useSession((state) => state.questions.some((one) => one.role === role));
  const [name, setName] = useState("");
  const words = wordsOf[role];
  const empty = sets.length === 0 && !reading;

  async function load(files: SourceFile[]) {
    if (!(await session.mayDropRun())) return;
    loadSets(session, role, files, recipe.getState().recipe.seed, name.trim());
    setName("");
  }

  return (
    <Panel title={words.title} help={words.help}>
      <Suspense>
        {sets.map((set) => (
          <DataSet key={set.id} set={set} locked={running} />
        ))}
      </Suspense>
      {asked && (
        <Suspense>
          <DataQuestions role={role} />
        </Suspense>
      )}
      <ReadingBar what={role} />
      {!(role === "target" && (reading || running)) && (
        <DropZone
          what={role}
          subject={words.subject}
          words={
            role !== "target" ? (
              <TextInput
                aria-label={`Name of the next set of ${words.subject}`}
                placeholder={empty ? "Name (optional)" : words.more}
                value={name}
                disabled={running}
                maxLength={60}
                onChange={(event) => setName(event.currentTarget.value)}
              />
            ) : empty ? (
              words.empty
            ) : (
              words.more
            )
          }
          accept=".zip,image/*"
          fileWord="Zip"
          disabled={running}
          onFiles={load}
        >
          {empty && role !== "target" && <p className="dim">{words.empty}</p>}
          {empty && <pre className="tree">{words.tree}</pre>}
          {empty && role !== "keep" && <DemoLink />}
        </DropZone>
      )}
      <Suspense>{role === "ood" && <Corruptions locked={running} />}</Suspense>
    </Panel>
  );
}
