// The page's side of its service worker: registered once the page is idle, and asked to give way to a new version when
// the person says so.
import { createStore } from "zustand/vanilla";

export interface OfflineState {
  /** A newer version waits for this page to be loaded again. */
  update: boolean;
  /** Lets the newer version take over, and loads the page again. */
  reload(): void;
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
      // The very first one has nobody to take over from.
      if (!registration.waiting || !navigator.serviceWorker.controller) return;
      waiting = registration.waiting;
      store.setState({ update: true });
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
