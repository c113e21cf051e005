// Where the numbers are computed, why there, what else the engine has to say, and the person's own choice.
import { Button, Popover, SegmentedControl } from "@mantine/core";
import type { BackendChoice } from "../../session/protocol.ts";
import { Icon } from "../shared/Icon.tsx";
import { useSession, useStudio } from "../state/studio.ts";

const names = { webgpu: "WebGPU", wasm: "WASM" } as const;
const choices: { value: BackendChoice; label: string }[] = [
  { value: "auto", label: "Auto" },
  { value: "webgpu", label: "WebGPU" },
  { value: "wasm", label: "WASM" },
];

export function DeviceBadge() {
  const { session } = useStudio();
  const device = useSession((state) => state.device);
  // Until the first is open there is none; after that only where none could be had.
  const none = useSession((state) => state.loss?.device === "none");
  const backend = useSession((state) => state.backend);
  const notices = useSession((state) => state.notices);
  const locked = useSession((state) => state.running || state.reading.length > 0);
  const heed = notices.length > 0 || device?.reason;
  async function choose(value: string) {
    // Where none is open the run has no device to leave: it comes back on the one that is chosen.
    if (none) await session.openAnew(value as BackendChoice);
    else if (await session.mayDropRun()) await session.open(value as BackendChoice);
  }

  return (
    <Popover position="bottom-end" width={330} trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default"
          className="device-badge"
          leftSection={
            <Icon name={heed ? "warning" : "chip"} className={heed ? "tone-warning" : undefined} />
          }
          aria-label={`Device: ${device ? `${names[device.backend]}, ${device.adapter}` : none ? "none" : "starting"}${notices.length > 0 ? `, ${notices.length} notices` : ""}`}
        >
          <span className="device-name">
            {device ? names[device.backend] : none ? "No device" : "Starting"}
          </span>
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className="stack">
          <div>
            <strong>
              {device ? names[device.backend] : none ? "No device is open" : "The engine is starting"}
            </strong>
            {device && <p className="dim">{device.adapter}</p>}
          </div>
          {device?.reason && <p>{device.reason}</p>}
          {notices.length > 0 && (
            <ul className="issues">
              {notices.map((text) => (
                <li key={text} className="issue">
                  <Icon name="note" className="tone-note" />
                  <span>{text}</span>
                </li>
              ))}
            </ul>
          )}
          <div>
            <p className="dim" id="backend-choice">
              Compute on
            </p>
            <SegmentedControl
              fullWidth
              aria-labelledby="backend-choice"
              data={choices}
              value={backend}
              disabled={locked}
              onChange={choose}
            />
            <button
              type="button"
              className="linkish"
              disabled={locked}
              onClick={() => session.openAnew(backend)}
            >
              Open it anew
            </button>
          </div>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
