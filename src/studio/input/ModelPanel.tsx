// The model: what to drop, and once it is there, what it is, what its files leave open, and its tensors.
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { Suspense, useState } from "react";
import type { ModelReport } from "../../session/protocol.ts";
import { DemoLink } from "../shared/DemoButton.tsx";
import { formatShort, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import { part } from "../shared/part.ts";
import { useLibrary, useSession, useStudio } from "../state/studio.ts";
import { DropZone } from "./DropZone.tsx";
import { FetchModel } from "./FetchModel.tsx";
import { ReadingBar } from "./ReadingBar.tsx";

const ClassifierReads = part(async () => (await import("./ClassifierReads.tsx")).ClassifierReads);
const ModelQuestions = part(async () => (await import("./ModelQuestions.tsx")).ModelQuestions);
const ModelSettings = part(async () => (await import("./ModelSettings.tsx")).ModelSettings);
const TensorTable = part(async () => (await import("./TensorTable.tsx")).TensorTable);

const modelTree = `my-model/
├ model.safetensors     weights
├ config.json           shape, labels
└ preprocessor_config.json`;

export function ModelPanel() {
  const { session } = useStudio();
  const model = useSession((state) => state.model);
  const running = useSession((state) => state.running);
  const reading = useSession((state) => state.reading.some((one) => one.what === "model"));
  const fetching = useLibrary((state) => state.fetching !== null);
  const [replacing, setReplacing] = useState(false);
  const [tensors, setTensors] = useState(false);

  async function load(files: Parameters<typeof session.loadModel>[0]) {
    if ((await session.mayDropRun()) && (await session.loadModel(files))) setReplacing(false);
  }

  const offering = (model === null || replacing) && !reading;
  const problems = model?.table.filter((row) => row.problem !== null).length ?? 0;
  return (
    <Panel
      title="Model"
      help="A Vision Transformer: safetensors (one file or shards with their index) or a PyTorch file, with its config where there is one; all of it also in a zip; a CLIP or SigLIP with its tokenizer also reads class names."
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
      <Suspense>
        {model && <ClassifierReads model={model} />}
        {model && <ModelQuestions key={`${model.name}/${model.table.length}`} model={model} />}
        {model && <ModelSettings key={`${model.name}/settings`} model={model} />}
      </Suspense>
      <ReadingBar what="model" />
      {offering && (
        <DropZone
          what="model"
          subject="model"
          words={model ? "Drop another model" : "Drop it here, or choose"}
          accept=".zip,.safetensors,.pth,.pt,.bin,.ckpt,.json,.txt"
          fileWord="Files"
          disabled={running}
          onFiles={load}
        >
          {model === null && <pre className="tree">{modelTree}</pre>}
          {model === null && <DemoLink />}
        </DropZone>
      )}
      {(offering || fetching) && <FetchModel onFiles={load} />}
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
  "hf-mae": "MAE",
  "hf-msn": "MSN",
  "hf-ijepa": "I-JEPA",
  "hf-dinov2": "DINOv2",
  "hf-dinov2-registers": "DINOv2 with registers",
  "hf-dinov3": "DINOv3",
  "timm-vit": "ViT (timm)",
  "timm-deit": "DeiT (timm)",
  "timm-clip": "CLIP tower (timm)",
  "timm-dinov3": "DINOv3 (timm)",
  dino: "DINO (original)",
  dinov2: "DINOv2 (original)",
  "dinov2-registers": "DINOv2 with registers (original)",
  dinov3: "DINOv3 (original)",
  mae: "MAE (original)",
  "moco-v3": "MoCo v3 (original)",
  msn: "MSN (original)",
  ijepa: "I-JEPA (original)",
  torchvision: "ViT (torchvision)",
  "hf-clip": "CLIP",
  "openai-clip": "CLIP (OpenAI)",
  "open-clip": "CLIP (OpenCLIP)",
  "open-clip-timm": "OpenCLIP (timm trunk)",
  "hf-siglip": "SigLIP",
  "timm-siglip": "SigLIP (timm)",
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
  return (
    <>
      <div className="row">
        <strong className="grow clip" title={name}>
          {name}
        </strong>
        <span className="dim">
          {families[shape.family]}
          {shape.prefixTokens - (shape.registers ?? 0) === 2 && ", distilled"}
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
        <dt>Activation, norm eps</dt>
        <dd>
          {shape.gatedMlp ? "silu, gated" : shape.activation}, {shape.layerNormEps.toExponential()}
        </dd>
        <dt>Own labels</dt>
        <dd>{shape.labels ? plural(shape.labels.length, "label") : "none, backbone only"}</dd>
        <dt>Resize</dt>
        <dd>
          {resize}, {preprocessing.interpolation}
        </dd>
        {preprocessing.crop && (
          <>
            <dt>Crop</dt>
            <dd>
              {preprocessing.crop.width} × {preprocessing.crop.height}
            </dd>
          </>
        )}
        <dt>Mean</dt>
        <dd>{triple(preprocessing.mean)}</dd>
        <dt>Std</dt>
        <dd>{triple(preprocessing.std)}</dd>
      </dl>
      {props.model.notes.map((note) => (
        <p key={note} className="dim">
          {note}
        </p>
      ))}
      {props.problems > 0 && (
        <button type="button" className="linkish" onClick={props.onProblems}>
          <Icon name="warning" className="tone-warning" />
          {plural(props.problems, "tensor")} with a problem: see which
        </button>
      )}
    </>
  );
}
