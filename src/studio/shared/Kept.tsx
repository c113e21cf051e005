// Says where a thing is that it is not kept, and what can be done; a part of its own, as hardly anybody needs it.
import { Suspense } from "react";
import type { SittingState } from "../state/sitting.ts";
import { useSitting } from "../state/studio.ts";
import { part } from "./part.ts";

const KeptNote = part(async () => (await import("../runs/KeptNote.tsx")).KeptNote);

export function Kept({ what }: { what: keyof SittingState["unkept"] }) {
  const parts = useSitting(({ unkept }) => unkept[what]);
  return (
    parts && (
      <Suspense>
        <KeptNote what={what} parts={parts} />
      </Suspense>
    )
  );
}
