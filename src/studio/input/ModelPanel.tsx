// The model: what to drop, and once it is there, what it is, what its files leave open, and its tensors.
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import type { ModelReport } from "../../session/protocol.ts";
import { DemoLink } from "../shared/DemoButton.tsx";
import { formatShort, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import { useSession, useStudio } from "../state/studio.ts";
import { DropZone } from "./DropZone.tsx";
import { ModelQuestions } from "./ModelQuestions.tsx";
import { ReadingBar } from "./ReadingBar.tsx";

const TensorTable = lazy(() =>
  import("./TensorTable.tsx").then(({ TensorTable }) => ({ default: TensorTable })),
);

const modelTree = `my-model/
├ model.safetensors     weights
├ config.json           shape, labels
└ preprocessor_config.json`;

export function ModelPanel() {
  const { session } = useStudio();
  const model = useSession((state) => state.model);
  const running = useSession((state) => state.running);
  const reading = useSession((state) => state.reading.some((one) => one.what === "model"));
  const [replacing, setReplacing] = useState(false);
  const [tensors, setTensors] = useState(false);

  async function load(files: Parameters<typeof session.loadModel>[0]) {
    if ((await session.mayDropRun()) && (await session.loadModel(files))) setReplacing(false);
  }

  const problems = model?.table.filter((row) => row.problem !== null).length ?? 0;
  return (
    <Panel
      title="Model"
      help="A Vision Transformer (ViT or DeiT) as Hugging Face writes it: safetensors with its config."
      actions={
        model && (
          <>
            <Button
              size="compact-xs"
              variant="subtle"
              leftSection={<Icon name={problems > 0 ? "warning" : "table"} />}
              onClick={() => setTensors(true)}
            >
              {plural(model.table.length, "tensor")}
            </Button>
            <Tooltip label={replacing ? "Keep this model" : "Load another model"}>
              <ActionIcon
                size="sm"
                variant="subtle"
                disabled={running || reading}
                aria-label={replacing ? "Keep this model" : "Load another model"}
                onClick={() => setReplacing(!replacing)}
              >
                <Icon name={replacing ? "cross" : "folder"} />
              </ActionIcon>
            </Tooltip>
          </>
        )
      }
    >
      {model && <ModelFacts model={model} problems={problems} onProblems={() => setTensors(true)} />}
      {model && <ModelQuestions key={`${model.name}/${model.table.length}`} model={model} />}
      <ReadingBar what="model" />
      {(model === null || replacing) && !reading && (
        <DropZone
          subject="model"
          words={model ? "Drop another model" : "Drop it here, or choose"}
          accept=".safetensors,.json"
          fileWord="Files"
          disabled={running}
          onFiles={load}
        >
          {model === null && <pre className="tree">{modelTree}</pre>}
          {model === null && <DemoLink />}
        </DropZone>
      )}
      {model && tensors && (
        <Suspense>
          <TensorTable rows={model.table} name={model.name} onClose={() => setTensors(false)} />
        </Suspense>
      )}
    </Panel>
  );
}

const families: Record<ModelReport["architecture"]["family"], string> = {
  "hf-vit": "ViT",
  "hf-deit": "DeiT",
};

function ModelFacts(props: { model: ModelReport; problems: number; onProblems: () => void }) {
  const { name, architecture: shape, preprocessing, parameters } = props.model;
  const same = (values: readonly number[]) => new Set(values).size === 1;
  const round = (value: number) => Number(value.toPrecision(4));
  const triple = (values: readonly number[]) =>
    (same(values) ? values.slice(0, 1) : values).map(round).join(", ");
  const resize =
    preprocessing.resize.mode === "exact"
      ? `${preprocessing.resize.width} × ${preprocessing.resize.height}`
      : `shorter edge ${preprocessing.resize.edge}`;
  const crop = preprocessing.crop ? `, crop ${preprocessing.crop.width} × ${preprocessing.crop.height}` : "";
  return (
    <>
      <div className="row">
        <strong className="grow clip" title={name}>
          {name}
        </strong>
        <span className="dim">
          {families[shape.family]}
          {shape.prefixTokens === 2 && ", distilled"}
        </span>
      </div>
      <dl className="facts">
        <dt>Parameters</dt>
        <dd>{formatShort(parameters)}</dd>
        <dt>Layers, heads, width</dt>
        <dd>
          {shape.layers}, {shape.heads}, {shape.hiddenSize}
        </dd>
        <dt>Image, patch</dt>
        <dd>
          {shape.imageSize} px, {shape.patchSize} px
        </dd>
        <dt>Own labels</dt>
        <dd>{shape.labels ? plural(shape.labels.length, "label") : "none, backbone only"}</dd>
        <dt>Resize</dt>
        <dd>
          {resize}
          {crop}, {preprocessing.interpolation}
        </dd>
        <dt>Mean</dt>
        <dd>{triple(preprocessing.mean)}</dd>
        <dt>Std</dt>
        <dd>{triple(preprocessing.std)}</dd>
      </dl>
      {props.problems > 0 && (
        <button type="button" className="linkish" onClick={props.onProblems}>
          <Icon name="warning" className="tone-warning" />
          {plural(props.problems, "tensor")} with a problem: see which
        </button>
      )}
    </>
  );
}
