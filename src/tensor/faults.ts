// GPU faults are loud. An invalid pipeline makes tfjs hand back zeros without a word and spoils the whole submit it
// was batched into, so every fault the device reports is kept here and thrown at the next number that is read back.
import { Failure } from "../failure.ts";

/** Memory ran out, or something is larger than the device can take: less at once may do. */
export class OutOfMemory extends Failure {
  /** @param what what could not be had, as the device says it or with its bytes */
  constructor(what: string) {
    super({
      code: "gpu",
      what: `The device ran out of memory (${what}).`,
      remedy: "Choose a smaller batch or a smaller model, or close other programs that use the device.",
    });
  }
}

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
            code: "lost",
            what: `The graphics device was lost (${message}).`,
            remedy: "Start again; if it happens again, choose a smaller batch or the WASM backend.",
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
      remedy: "Lower the learning rate or the rank's alpha and start again.",
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

/**
 * Keeps the fault of a shader that does not compile, under its name.
 * @param name the op whose program it is
 */
export function reportShaderError(device: GPUDevice, name: string, error: GPUError): void {
  if (watched !== device) return;
  recordFault(
    new Failure({
      code: "gpu",
      what: `A shader does not compile on this graphics device (${error.message}).`,
      where: name,
      remedy: "Switch to the WASM backend, and please report this sentence.",
    }),
  );
}

function recordFault(failure: Failure): void {
  fault ??= failure;
}

/** An error of the device in a person's words. */
export function asFailure(error: GPUError, where?: string): Failure {
  if (typeof GPUOutOfMemoryError !== "undefined" && error instanceof GPUOutOfMemoryError) {
    return new OutOfMemory(error.message);
  }
  return new Failure({
    code: "gpu",
    what: `The graphics device refused a command (${error.message}).`,
    ...(where === undefined ? {} : { where }),
    remedy: "Switch to the WASM backend, and please report this sentence.",
  });
}
