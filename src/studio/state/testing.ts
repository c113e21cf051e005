// An origin's locks and channel as far as tabs use them, for tests of several tabs in one thread.
import type { Channel, News } from "./tabs.ts";

interface Wish {
  callback: (lock: unknown) => unknown;
  resolve: (value: unknown) => void;
  reject: (reason: unknown) => void;
}

/** Locks of one origin: one holder a name, a queue, `ifAvailable`, `steal` and `signal`; `release` ends a tab. */
export function originLocks() {
  const holders = new Map<string, Wish>();
  const queues = new Map<string, Wish[]>();
  const next = (name: string) => {
    const wish = queues.get(name)?.shift();
    if (wish) grant(name, wish);
  };
  function grant(name: string, wish: Wish): void {
    holders.set(name, wish);
    void Promise.resolve(wish.callback({ name })).then((value) => {
      if (holders.get(name) !== wish) return;
      holders.delete(name);
      wish.resolve(value);
      next(name);
    });
  }
  const request = (name: string, options: LockOptions, callback: (lock: unknown) => unknown) =>
    new Promise((resolve, reject) => {
      const wish = { callback, resolve, reject };
      const holder = holders.get(name);
      if (!holder) return grant(name, wish);
      if (options.ifAvailable) return resolve(callback(null));
      if (options.steal) {
        grant(name, wish);
        return holder.reject(new DOMException("stolen", "AbortError"));
      }
      const queue = queues.get(name) ?? [];
      queues.set(name, [...queue, wish]);
      options.signal?.addEventListener("abort", () => {
        queues.set(
          name,
          (queues.get(name) ?? []).filter((one) => one !== wish),
        );
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  return {
    locks: { request } as unknown as Pick<LockManager, "request">,
    /** The tab that holds a lock is gone. */
    release(name = "selora-table") {
      holders.delete(name);
      next(name);
    },
  };
}

/** A channel between tabs: what one posts the others hear, a turn later. */
export function originChannel() {
  const tabs: ((news: News) => void)[][] = [];
  const said: News[] = [];
  return {
    said,
    tab(): Channel {
      const own: ((news: News) => void)[] = [];
      tabs.push(own);
      return {
        post(news) {
          said.push(news);
          const heard = structuredClone(news);
          for (const other of tabs)
            if (other !== own) queueMicrotask(() => other.forEach((hear) => void hear(heard)));
        },
        listen: (listener) => void own.push(listener),
      };
    },
  };
}
