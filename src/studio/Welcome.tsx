// The middle of an empty page: what will happen here, and the shortest way to see it.
import { DemoChoices } from "./shared/DemoButton.tsx";
import { Icon } from "./shared/Icon.tsx";
import { useSession } from "./state/studio.ts";

export function Welcome() {
  const model = useSession((state) => state.model !== null);
  const target = useSession((state) => state.data.some((set) => set.role === "target"));
  const others = useSession((state) => state.data.some((set) => set.role !== "target"));
  const steps = [
    {
      done: model,
      title: "A Vision Transformer",
      line: "Of transformers, timm or OpenCLIP, or an original DINO: a file of weights, with its config.",
    },
    {
      done: target,
      title: "Images to learn",
      line: "A folder for each class; a few dozen images each will do.",
    },
    {
      done: others,
      title: "Images to watch, if you have them",
      line: "Another style (OOD), and what the model knew before (retention).",
    },
    {
      done: false,
      title: "Start",
      line: "Small changes are learned in every block; gates close where one is not worth what it would make the model forget. You watch, compare, and take the merged weights home.",
    },
  ];
  return (
    <div className="panel welcome">
      <h2>Teach a model a new domain without making it forget the old one</h2>
      <ol className="steps">
        {steps.map(({ done, title, line }, i) => (
          <li key={title} data-done={done || undefined}>
            <span className="n">{done ? <Icon name="check" label="done" /> : i + 1}</span>
            <div>
              <strong>{title}</strong>
              <div className="dim">{line}</div>
            </div>
          </li>
        ))}
      </ol>
      {!target && (
        <>
          <DemoChoices />
          <p className="dim">
            The demo is built in: a small model, and emoji as different artists drew them. One press loads and
            runs it.
          </p>
        </>
      )}
      <p className="privacy">
        <Icon name="lock" />
        Images and weights never leave this machine.
      </p>
    </div>
  );
}
