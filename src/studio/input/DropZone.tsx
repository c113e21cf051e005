// A place to drop a folder, files or a zip, with buttons that do the same for keyboards and thumbs.
import { Button } from "@mantine/core";
import { type DragEvent, type InputHTMLAttributes, type ReactNode, useRef, useState } from "react";
import type { SourceFile } from "../../session/protocol.ts";
import { filesFromInput, takeDrop } from "../files/dropped.ts";
import { Icon } from "../shared/Icon.tsx";
import type { Reading } from "../state/session_store.ts";
import { useStudio } from "../state/studio.ts";

interface DropZoneProps {
  /** What a drop is shown as while its folders are looked through. */
  what: Reading["what"];
  /** What goes in, for labels: "model", "target images". */
  subject: string;
  /** One line beside the buttons, or something to type in. */
  words: ReactNode;
  /** Ending filter of the file button, e.g. ".zip,image/*". */
  accept: string;
  fileWord: string;
  disabled?: boolean;
  children?: ReactNode;
  onFiles: (files: SourceFile[]) => void;
}

// React's types lack the attribute that makes a file input take a folder.
const folderInput = { webkitdirectory: "" } as InputHTMLAttributes<HTMLInputElement>;

export function DropZone(props: DropZoneProps) {
  const { session } = useStudio();
  const { subject, disabled = false } = props;
  const folder = useRef<HTMLInputElement>(null);
  const loose = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  const pick = (input: HTMLInputElement) => {
    const files = filesFromInput(input.files);
    if (files.length > 0 && !disabled) props.onFiles(files);
    // The same folder can be chosen again after it was mended.
    input.value = "";
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    // An empty folder is a drop of no files, and the engine says so; a dropped word or link is none of ours.
    if (disabled || !event.dataTransfer.types.includes("Files")) return;
    void session.find(props.what, takeDrop(event.nativeEvent)).then((files) => files && props.onFiles(files));
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is for a mouse; the buttons inside do the same
    <div
      className="drop"
      data-over={over || undefined}
      data-disabled={disabled || undefined}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(!disabled);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={drop}
    >
      {props.children}
      <div className="drop-line">
        <div className="words dim">{props.words}</div>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<Icon name="folder" />}
          disabled={disabled}
          aria-label={`Choose a folder: ${subject}`}
          onClick={() => folder.current?.click()}
        >
          Folder
        </Button>
        <Button
          variant="default"
          size="compact-xs"
          leftSection={<Icon name="file" />}
          disabled={disabled}
          aria-label={`Choose ${props.fileWord.toLowerCase()}: ${subject}`}
          onClick={() => loose.current?.click()}
        >
          {props.fileWord}
        </Button>
      </div>
      <input
        ref={folder}
        type="file"
        hidden
        multiple
        {...folderInput}
        aria-label={`Folder for ${subject}`}
        onChange={(event) => pick(event.currentTarget)}
      />
      <input
        ref={loose}
        type="file"
        hidden
        multiple
        accept={props.accept}
        aria-label={`Files for ${subject}`}
        onChange={(event) => pick(event.currentTarget)}
      />
    </div>
  );
}
