// GPU faults are loud. An invalid pipeline makes tfjs hand back zeros without a word and spoils the whole submit it
// was batched into, so every fault the device reports is kept here and thrown at the next number that is read back.
import { Failure } from "../failure.ts";

let fault: Failure | null = null;
let watched: GPUDevice | null = null;

/**
 * Starts listening to a device: validation and memory errors nobody caught, and its loss.
 * @returns resolves with the reason when the device is lost other than by our own `destroy()`
 */
export function watchDevice(device: GPUDevice): Promise<string> {
  fault = null;
  watched = device;
  device.addEventListener("uncapturederror", (event) => {
    (event as Event).preventDefault?.();
    if (watched === device) recordFault(asFailure((event as GPUUncapturedErrorEvent).error));
  });
  return new Promise((resolve) => {
    void device.lost.then((info) => {
      if (info.reason === "destroyed") return;
      const message = info.message || "no reason given";
      if (watched === device) {
        recordFault(
          new Failure({
            code: "gpu",
            what: `The graphics device was lost (${message}).`,
            remedy:
              "Continue from the last snapshot; if it happens again, choose a smaller batch or the WASM backend.",
          }),
        );
      }
      resolve(message);
    });
  });
}

/** Stops listening: faults of a device that is being closed on purpose concern nobody. */
export function forgetDevice(device: GPUDevice): void {
  if (watched === device) {
    watched = null;
    fault = null;
  }
}

/**
 * Throws the first fault the device has reported since it was opened.
 * @throws Failure "gpu"
 */
export function throwIfFaulty(): void {
  if (fault) throw fault;
}

/**
 * The check every loss and score goes through as it is read back. A GPU fault is thrown before the value is judged,
 * because after one the value is a zero that looks finite.
 * @returns the value itself
 * @throws Failure "gpu" or "numeric"
 */
export function checkFinite(value: number, where: string): number {
  throwIfFaulty();
  if (!Number.isFinite(value)) {
    throw new Failure({
      code: "numeric",
      what: `The value became ${Number.isNaN(value) ? "not a number" : "infinite"}.`,
      where,
      remedy: "Lower the learning rate or the rank's alpha and start again from the last snapshot.",
    });
  }
  return value;
}

/**
 * Runs work that makes new pipelines or buffers and waits until the device has judged it, so that a shader that does
 * not compile is named together with what was being built. For warm-up, not for every step: it waits for the device.
 * @throws Failure "gpu"
 */
export async function withErrorScopes<T>(
  device: GPUDevice | null,
  where: string,
  work: () => T | Promise<T>,
): Promise<T> {
  if (!device) return work();
  const filters: GPUErrorFilter[] = ["out-of-memory", "internal", "validation"];
  for (const filter of filters) device.pushErrorScope(filter);
  let result: T;
  let errors: (GPUError | null)[];
  try {
    result = await work();
  } finally {
    errors = await Promise.all(filters.map(() => device.popErrorScope()));
  }
  const error = errors.find((e) => e !== null);
  if (error) {
    const failure = asFailure(error, where);
    recordFault(failure);
    throw failure;
  }
  return result;
}

function recordFault(failure: Failure): void {
  fault ??= failure;
}

function asFailure(error: GPUError, where?: string): Failure {
  const memory = typeof GPUOutOfMemoryError !== "undefined" && error instanceof GPUOutOfMemoryError;
  return new Failure({
    code: "gpu",
    what: memory
      ? `The graphics device ran out of memory (${error.message}).`
      : `The graphics device refused a command (${error.message}).`,
    ...(where === undefined ? {} : { where }),
    remedy: memory
      ? "Choose a smaller batch, or close other tabs that use the GPU."
      : "Switch to the WASM backend, and please report this sentence.",
  });
}
