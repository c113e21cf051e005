// The images whose answer changed: what was put right, what was broken, what is wrong in another way. Pictures are
// fetched when they come into sight.
import { Button, Modal, SegmentedControl } from "@mantine/core";
import { type KeyboardEvent, memo, useEffect, useMemo, useRef, useState } from "react";
import type { SetAccuracy } from "../../session/protocol.ts";
import { type Answer, answersAt, type Cell, type ChangeKind, changedAnswers } from "./answers.ts";
import classes from "./ChangedImages.module.css";

/** How many pictures are listed at once. */
const PAGE = 48;

export interface ChangedImagesProps {
  before: SetAccuracy;
  after: SetAccuracy;
  /** A cell of the confusion matrix, whose images are shown instead; null for none. */
  cell: Cell | null;
  kind: ChangeKind;
  onKind: (kind: ChangeKind) => void;
  onCellDone: () => void;
  imageUrl: (setId: string, index: number) => Promise<string>;
}

const kinds: { value: ChangeKind; label: string; none: string }[] = [
  { value: "fixed", label: "Fixed", none: "No image that was wrong is right now." },
  { value: "broken", label: "Broken", none: "No image that was right is wrong now." },
  { value: "other", label: "Other", none: "No wrong answer became another wrong one." },
];

export const ChangedImages = memo(function ChangedImages(props: ChangedImagesProps) {
  const { before, after, cell, kind, onKind, onCellDone, imageUrl } = props;
  const [listed, setListed] = useState(PAGE);
  const [enlarged, setEnlarged] = useState<number | null>(null);
  const changed = useMemo(() => changedAnswers(before, after), [before, after]);
  const answers = useMemo(
    () => (cell ? answersAt(before, after, cell) : changed[kind]),
    [before, after, cell, changed, kind],
  );
  const name = (label: number) => after.names[label] ?? "–";
  const shown = enlarged === null ? null : (answers[enlarged] ?? null);

  function onModalKey(event: KeyboardEvent) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || enlarged === null) return;
    event.preventDefault();
    setEnlarged(Math.min(answers.length - 1, Math.max(0, enlarged + by)));
  }

  return (
    <div className={classes.changed}>
      {cell ? (
        <div className={classes.cell}>
          <span>
            <strong>{name(cell.from)}</strong>{" "}
            {cell.of === "label" ? "answered" : "was the answer before, now"}{" "}
            <strong>{name(cell.predicted)}</strong>: {answers.length}
          </span>
          <Button size="compact-xs" variant="default" onClick={onCellDone}>
            Back to changed images
          </Button>
        </div>
      ) : (
        <SegmentedControl
          size="xs"
          fullWidth
          aria-label="Which change"
          data={kinds.map(({ value, label }) => ({ value, label: `${label} ${changed[value].length}` }))}
          value={kind}
          onChange={(value) => {
            onKind(value as ChangeKind);
            setListed(PAGE);
          }}
        />
      )}
      {answers.length === 0 ? (
        <p className={classes.none}>
          {cell ? "No image here." : kinds.find((one) => one.value === kind)?.none}
        </p>
      ) : (
        <ul className={classes.grid}>
          {answers.slice(0, listed).map((answer, place) => (
            <li key={`${after.id} ${answer.index}`}>
              <button type="button" className={classes.card} onClick={() => setEnlarged(place)}>
                <Picture setId={after.id} index={answer.index} alt={name(answer.label)} imageUrl={imageUrl} />
                <span className={classes.words}>
                  <span className={classes.truth}>{name(answer.label)}</span>
                  <Verdict answer={answer} name={name} />
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {answers.length > listed && (
        <Button size="compact-sm" variant="default" onClick={() => setListed(listed + PAGE)}>
          Show {Math.min(PAGE, answers.length - listed)} more of {answers.length}
        </Button>
      )}
      <Modal
        opened={shown !== null}
        onClose={() => setEnlarged(null)}
        title={shown ? `${name(shown.label)}, image ${enlarged! + 1} of ${answers.length}` : ""}
        centered
        onKeyDown={onModalKey}
      >
        {shown && (
          <div className={classes.large}>
            <Picture
              key={shown.index}
              setId={after.id}
              index={shown.index}
              alt={name(shown.label)}
              imageUrl={imageUrl}
            />
            <dl>
              <dt>True class</dt>
              <dd>{name(shown.label)}</dd>
              <dt>Before</dt>
              <dd>
                {name(shown.before)} {shown.before === shown.label ? "✓" : "✗"}
              </dd>
              <dt>Now</dt>
              <dd>
                {name(shown.after)} {shown.after === shown.label ? "✓" : "✗"}
              </dd>
            </dl>
            <div className={classes.walk}>
              <Button variant="default" disabled={enlarged === 0} onClick={() => setEnlarged(enlarged! - 1)}>
                ← Previous
              </Button>
              <Button
                variant="default"
                disabled={enlarged === answers.length - 1}
                onClick={() => setEnlarged(enlarged! + 1)}
              >
                Next →
              </Button>
            </div>
          </div>
        )}
      </Modal>
    </div>
  );
});

function Verdict({ answer, name }: { answer: Answer; name: (label: number) => string }) {
  const say = (label: number) => `${name(label)} ${label === answer.label ? "✓" : "✗"}`;
  return (
    <>
      <span className={classes.was}>{say(answer.before)}</span>
      <span data-right={answer.after === answer.label || undefined} className={classes.is}>
        <span aria-hidden="true">→ </span>
        {say(answer.after)}
      </span>
    </>
  );
}

interface PictureProps {
  setId: string;
  index: number;
  alt: string;
  imageUrl: (setId: string, index: number) => Promise<string>;
}

const Picture = memo(function Picture({ setId, index, alt, imageUrl }: PictureProps) {
  const box = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState<string | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let wanted = true;
    const observer = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return;
        observer.disconnect();
        imageUrl(setId, index).then(
          (address) => wanted && setUrl(address),
          () => wanted && setFailed(true),
        );
      },
      { rootMargin: "200px" },
    );
    observer.observe(box.current!);
    return () => {
      wanted = false;
      observer.disconnect();
    };
  }, [setId, index, imageUrl]);
  return (
    <span ref={box} className={classes.picture}>
      {url && !failed && <img src={url} alt={alt} onError={() => setFailed(true)} />}
      {failed && <span className={classes.failed}>cannot be shown</span>}
    </span>
  );
});
