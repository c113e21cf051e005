// The page's side of its service worker: registered once the page is idle, and asked to give way to a new version when
// the person says so.
import { createStore } from "zustand/vanilla";

export interface OfflineState {
  /** A newer version waits for this page to be loaded again. */
  update: boolean;
  /** Lets the newer version take over, and loads the page again. */
  reload(): void;
}

/**
 * The worker that waits to take over from an older one. A first worker takes over from nobody, and WebKit still calls it
 * waiting when it is at work already.
 * @param controlled whether the page has its files from a worker
 */
export function newer(
  { waiting, active }: Pick<ServiceWorkerRegistration, "waiting" | "active">,
  controlled: boolean,
): ServiceWorker | null {
  return controlled && waiting?.state === "installed" && active !== null && active !== waiting
    ? waiting
    : null;
}

/** How often a page that stays open asks for a newer version: hourly, in milliseconds. */
const LOOK_EVERY = 3_600_000;

/** Registers the service worker beside the page; where there is none, or it may not be used, nothing happens. */
export function createOffline() {
  let waiting: ServiceWorker | null = null;
  const store = createStore<OfflineState>(() => ({
    update: false,
    reload() {
      // Other tabs go on with the version they show, whose files are kept.
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
      waiting?.postMessage("take over");
    },
  }));

  async function register(): Promise<void> {
    const registration = await navigator.serviceWorker.register("service_worker.js");
    const look = () => {
      waiting = newer(registration, navigator.serviceWorker.controller !== null);
      store.setState({ update: waiting !== null });
    };
    look();
    registration.addEventListener("updatefound", () => {
      registration.installing?.addEventListener("statechange", look);
    });
    setInterval(() => void registration.update().catch(() => {}), LOOK_EVERY);
  }

  // In private windows, or without https, a browser may refuse; the page then is as it was without.
  if (import.meta.env.PROD && "serviceWorker" in navigator) void register().catch(() => {});
  return store;
}
