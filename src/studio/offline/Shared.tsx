// What other apps shared with the studio waits here until it is said where it goes: images of one class are shared at a
// time, as a gallery knows nothing of class folders.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useEffect, useState } from "react";
import type { DataRole } from "../../session/protocol.ts";
import { formatBytes, plural } from "../shared/format.ts";
import { useSession, useStudio } from "../state/studio.ts";
import { fetchShared, forgetShared, type Share } from "./shared_images.ts";

const places: { value: DataRole; label: string }[] = [
  { value: "target", label: "Target images" },
  { value: "ood", label: "OOD images" },
  { value: "retention", label: "Retention images" },
  { value: "keep", label: "Images to stay the same on" },
];

/** "3 images, 1.2 MB". */
const sizeOf = ({ files }: Share) =>
  `${plural(files.length, "image")}, ${formatBytes(files.reduce((sum, { blob }) => sum + blob.size, 0))}`;

export function Shared() {
  const { session, recipe } = useStudio();
  const busy = useSession((state) => state.running || state.reading.length > 0);
  const taken = useSession((state) => state.data);
  const [shares, setShares] = useState<Share[]>([]);
  const [role, setRole] = useState<DataRole>("target");
  const [names, setNames] = useState<Record<number, string>>({});
  useEffect(() => {
    fetchShared().then(setShares, (error) => session.addFailure(error));
  }, [session]);
  if (shares.length === 0) return null;

  const classOf = ({ at }: Share) => (names[at] ?? "").trim().replaceAll("/", " ");
  const classes = new Set(shares.map(classOf));
  const lacking =
    role === "keep"
      ? null
      : classes.has("")
        ? "Say what each of them shows."
        : role === "target" && classes.size < 2
          ? "Two classes or more can be told apart: share images of another one, and all are put there together."
          : null;

  async function letGo() {
    setShares([]);
    await forgetShared(shares);
  }
  async function put() {
    if (!(await session.mayDropRun())) return;
    const files = shares.flatMap((share) =>
      share.files.map(({ path, blob }) => ({
        // Several shares of one class lie in one folder.
        path: `${role === "keep" ? "shared" : classOf(share)}/${share.at} ${path}`,
        blob,
      })),
    );
    let name = "Shared images";
    for (let n = 2; role !== "target" && taken.some((set) => set.name === name); n++)
      name = `Shared images ${n}`;
    // What the engine refuses, or asks about and is not answered, can be put elsewhere.
    if (await session.loadData(role, name, files, recipe.getState().recipe.seed)) await letGo();
  }

  return (
    <section className="unfinished" aria-label="Shared images">
      <p>
        {plural(shares.flatMap(({ files }) => files).length, "image")} from another app. Where do they go?
      </p>
      {role !== "keep" &&
        shares.map((share) => (
          <TextInput
            key={share.at}
            size="xs"
            label={`Class of ${sizeOf(share)}${shares.length > 1 ? `, shared ${new Date(share.at).toLocaleTimeString("en")}` : ""}`}
            value={names[share.at] ?? ""}
            maxLength={100}
            onChange={(event) => setNames({ ...names, [share.at]: event.currentTarget.value })}
          />
        ))}
      <NativeSelect
        size="xs"
        label="As"
        data={places}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value as DataRole)}
      />
      {lacking && <p className="dim">{lacking}</p>}
      <div className="row">
        <Button disabled={busy || lacking !== null} onClick={() => void put()}>
          Put them there
        </Button>
        <Button variant="default" disabled={busy} onClick={() => void letGo()}>
          Let them go
        </Button>
      </div>
    </section>
  );
}
