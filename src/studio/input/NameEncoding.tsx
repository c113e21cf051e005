// In which encoding the names in a set's zips were read that do not say it, and the others, each with a name read by it.
import { NativeSelect } from "@mantine/core";
import type { DataReport } from "../../session/protocol.ts";
import { useStudio } from "../state/studio.ts";

interface NameEncodingProps {
  set: DataReport;
  names: NonNullable<DataReport["names"]>;
  locked: boolean;
}

export function NameEncoding({ set, names, locked }: NameEncodingProps) {
  const { session } = useStudio();

  // Other letters are other names, so that how folders are read is found anew.
  async function choose(encoding: string) {
    if (await session.mayDropRun()) await session.readOtherwise(set.id, { encoding }, []);
  }

  return (
    <NativeSelect
      size="xs"
      label={`Names in ${set.name} are read as`}
      data={[names, ...names.others].map(({ encoding, name, example }) => ({
        value: encoding,
        label: `${name}: ${example}`,
      }))}
      value={names.encoding}
      disabled={locked}
      onChange={(event) => void choose(event.currentTarget.value)}
    />
  );
}
