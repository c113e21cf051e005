// What is to be measured: models, where, beside whom, how often. What the device cannot is said here, before the start.
import { Button, Checkbox, NumberInput, Tooltip } from "@mantine/core";
import { workModels } from "../../session/benchmark/work.ts";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import classes from "./Benchmark.module.css";
import {
  type BenchmarkState,
  type BenchmarkStore,
  browserPeers,
  countOf,
  tooBig,
} from "./benchmark_store.ts";

const peerWords: Record<string, string> = {
  "stock tfjs": "the same step in TensorFlow.js's own ops, with its tape",
  "jax-js": "the same step in jax-js, compiled by its jit",
  "onnxruntime-web": "inference only: it does not train",
};

const placeNames = { webgpu: "WebGPU", wasm: "WASM" } as const;

interface SetupProps {
  state: BenchmarkState;
  store: BenchmarkStore;
  training: boolean;
}

/** Why it cannot start, as a sentence; null when it can. */
function missing({ places, wishes }: BenchmarkState, training: boolean): string | null {
  if (training)
    return "A run is training. Each would slow the other: wait until it has ended, or stop it first.";
  if (!places) return "Looking for the devices of this machine";
  if (wishes.models.length === 0) return "Choose a model.";
  if (wishes.computes.length === 0) return "Choose where to compute.";
  return countOf(wishes, places) === 0 ? "Nothing that is chosen can be measured here." : null;
}

/** The list with a name in it or out of it, in the order of `all`. */
const having = <T,>(all: readonly T[], list: readonly T[], one: T, wanted: boolean): T[] =>
  all.filter((each) => (each === one ? wanted : list.includes(each)));

export function Setup({ state, store, training }: SetupProps) {
  const { places, wishes, running } = state;
  const lacking = missing(state, training);
  const big = places ? tooBig(wishes, places) : [];
  const modelIds = workModels.map(({ id }) => id);
  return (
    <Panel title="What is measured">
      <fieldset className={classes.choices} disabled={running}>
        <legend>Models</legend>
        {workModels.map(({ id, title, batch }) => (
          <Checkbox
            key={id}
            size="xs"
            label={title}
            description={wishes.batch === null ? `batch ${batch}` : undefined}
            checked={wishes.models.includes(id)}
            onChange={({ currentTarget: { checked } }) =>
              store.wish({ models: having(modelIds, wishes.models, id, checked) })
            }
          />
        ))}
      </fieldset>
      {big.length > 0 && (
        <ul className="issues">
          {big.map(({ model, title, compute, why }) => (
            <li key={`${model} ${compute}`} className="issue">
              <Icon name="warning" className="tone-warning" />
              <span>
                <strong>
                  {title} is left out on {placeNames[compute]}.
                </strong>{" "}
                {why}
              </span>
            </li>
          ))}
        </ul>
      )}
      <fieldset className={classes.choices} disabled={running}>
        <legend>Compute on</legend>
        {places?.map(({ compute, name }) => (
          <Checkbox
            key={compute}
            size="xs"
            label={placeNames[compute]}
            description={name}
            checked={wishes.computes.includes(compute)}
            onChange={({ currentTarget: { checked } }) =>
              store.wish({ computes: having(["webgpu", "wasm"], wishes.computes, compute, checked) })
            }
          />
        ))}
        {places?.every(({ compute }) => compute !== "webgpu") && (
          <p className="dim">This browser offers no WebGPU adapter.</p>
        )}
      </fieldset>
      <fieldset className={classes.choices} disabled={running}>
        <legend>Beside</legend>
        {browserPeers.map((name) => (
          <Checkbox
            key={name}
            size="xs"
            label={name}
            description={peerWords[name]}
            checked={wishes.peers.includes(name)}
            onChange={({ currentTarget: { checked } }) =>
              store.wish({ peers: having(browserPeers, wishes.peers, name, checked) })
            }
          />
        ))}
      </fieldset>
      <div className="fields">
        <NumberInput
          label="Batch"
          placeholder="the model's own"
          min={1}
          max={256}
          allowDecimal={false}
          allowNegative={false}
          clampBehavior="strict"
          value={wishes.batch ?? ""}
          disabled={running}
          onChange={(value) => store.wish({ batch: typeof value === "number" && value > 0 ? value : null })}
        />
        <NumberInput
          label="Steps of each"
          min={1}
          max={100}
          allowDecimal={false}
          allowNegative={false}
          clampBehavior="strict"
          value={wishes.runs}
          disabled={running}
          onChange={(value) => typeof value === "number" && value > 0 && store.wish({ runs: value })}
        />
      </div>
      <Checkbox
        size="xs"
        label="Also what gates cost and save"
        checked={wishes.gates}
        disabled={running}
        onChange={({ currentTarget: { checked } }) => store.wish({ gates: checked })}
      />
      {running ? (
        <Button size="sm" variant="light" leftSection={<Icon name="stop" />} onClick={() => store.cancel()}>
          Cancel
        </Button>
      ) : (
        <Tooltip label={lacking} disabled={lacking === null || training}>
          <Button
            size="sm"
            leftSection={<Icon name="play" />}
            data-disabled={lacking !== null || undefined}
            aria-disabled={lacking !== null}
            onClick={() => lacking === null && store.start()}
          >
            Start the benchmark
          </Button>
        </Tooltip>
      )}
      {training && (
        <p className={classes.training} role="note">
          <Icon name="warning" className="tone-warning" />
          {lacking}
        </p>
      )}
    </Panel>
  );
}
