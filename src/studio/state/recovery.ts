// When the graphics device is lost: another is opened by itself, the run on the page comes back on it from what is kept,
// and whoever wants something of the device waits that long. Part of the session's store.
import type { StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import type { BackendChoice, DeviceReport, SavedRun, Session } from "../../session/protocol.ts";
import type { Loss, StudioState } from "./session_store.ts";

export interface Recovery {
  /** Whether a device is being opened in place of another. */
  readonly pending: boolean;
  /** Resolves once none is. */
  done(): Promise<void>;
  /** The engine's device was lost. */
  lost(failure: FailureParts): void;
  /** The engine has opened one, as something needed it. */
  opened(device: DeviceReport): void;
  /** Opens a device in place of one that failed, and brings the run back; false when none could be had. */
  openAnew(choice: BackendChoice): Promise<boolean>;
  comesBackFrom(kept: (id: string) => Promise<SavedRun | null>): void;
  /** Asks something of the device, once there is one. */
  wish<T>(call: () => Promise<T>): Promise<T>;
  /** A run is in the engine, until the page has put its end in order and calls what this gives. */
  during(): () => void;
  /** A device has done its work, or another was chosen: losses are counted anew. */
  trust(): void;
}

/** Devices lost without a run that ended between them, after which none is opened unasked. */
const LIMIT = 3;

const notKept = new Failure({
  code: "state",
  what: "The weights of this run are not kept.",
  remedy: "Run its recipe again.",
});

export function createRecovery(
  session: Session,
  { getState: get, setState: set }: StoreApi<StudioState>,
  dropRun: () => void,
  addFailure: (error: unknown) => void,
): Recovery {
  let losses = 0;
  /** Whether the engine has opened a device since the last loss. */
  let reopened = false;
  /** How many wishes are on the device now. */
  let wishes = 0;
  let training: Promise<void> | null = null;
  let recovering: Promise<void> | null = null;
  let keptRun: (id: string) => Promise<SavedRun | null> = async () => null;

  const setLoss = (changes: Partial<Loss>) => set(({ loss }) => ({ loss: loss && { ...loss, ...changes } }));

  async function done(): Promise<void> {
    while (recovering) await recovering;
  }

  /** Opens a device after those that are being opened, and brings the run back. */
  function recoverOn(choice: BackendChoice): void {
    const mine = (recovering ?? Promise.resolve()).then(() => recover(choice));
    recovering = mine;
    void mine.finally(() => {
      if (recovering === mine) recovering = null;
    });
  }

  async function recover(choice: BackendChoice): Promise<void> {
    // A run that was asked for meanwhile opens a device by itself.
    await training;
    const before = losses;
    try {
      if (!reopened || choice !== get().backend) {
        const device = await session.open(choice);
        if (losses === before) set({ device, backend: choice });
        setLoss({ onCpu: device.backend === "wasm" });
      }
    } catch (error) {
      if (get().loss === null) addFailure(error);
      if (losses !== before) return;
      set({ device: null });
      setLoss({ device: "none", refusal: Failure.from(error).parts });
      return;
    }
    const runBack = get().run.result === null ? null : await bringBack();
    if (losses === before) setLoss({ device: "open", runBack });
  }

  /** Puts the run on the page back on the device, gates and strength as they were set by hand. */
  async function bringBack(): Promise<boolean> {
    const { id, recipe, open, strength, result } = get().run;
    try {
      const saved = id === null ? null : await keptRun(id).catch(() => null);
      if (!saved?.result) throw notKept;
      await session.restoreRun(saved);
      if (open) await session.adjust(open, strength);
      return true;
    } catch (error) {
      const why = Failure.from(error).parts;
      // Lost once more: the next device tries.
      if (why.code === "lost" || get().run.result !== result) return false;
      const { failedRun } = get();
      dropRun();
      // What is left of it is offered, as of any run whose device was lost.
      set({ failedRun: failedRun ?? (recipe && { id, recipe, kept: null, why: { ...why, code: "lost" } }) });
      return false;
    }
  }

  return {
    get pending() {
      return recovering !== null;
    },
    done,

    lost({ what }) {
      losses += 1;
      reopened = false;
      const broke = get().running ? "run" : wishes > 0 ? "wish" : null;
      const loss = { what, times: losses, onCpu: false, refusal: null, broke, runBack: null } as const;
      if (losses > LIMIT) return set({ loss: { ...loss, device: "none" }, device: null });
      set({ loss: { ...loss, device: "opening" } });
      recoverOn(get().backend);
    },

    opened({ backend }) {
      reopened = true;
      setLoss({ device: "open", onCpu: backend === "wasm" });
    },

    async openAnew(choice) {
      if (choice !== get().backend) losses = 0;
      reopened = false;
      setLoss({ device: "opening", refusal: null });
      recoverOn(choice);
      await done();
      const { device, loss } = get();
      if (choice === "wasm" && loss?.device === "open") set({ loss: null });
      return device !== null;
    },

    comesBackFrom(kept) {
      keptRun = kept;
    },

    async wish(call) {
      if (recovering) await done();
      wishes += 1;
      try {
        return await call();
      } finally {
        wishes -= 1;
      }
    },

    during() {
      let settled = () => {};
      const mine = new Promise<void>((resolve) => {
        settled = resolve;
      });
      training = mine;
      return () => {
        if (training === mine) training = null;
        settled();
      };
    },

    trust() {
      losses = 0;
    },
  };
}
