// Which tab has the table: keeps what is loaded, and trains. One of an origin does, and holds a Web Lock for as long as
// it lives; the others hear from it, and get the lock when it closes, crashes, or gives the table away. A tab that does
// not answer is robbed of it, and begins anew when it notices; the database refuses what it still wants to write
// (Keep.claim).
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure } from "../../failure.ts";

/** What tabs tell each other. Another tab may run another version of this page: nothing in it is believed unseen. */
export type News =
  /** Somebody watches. */
  | { kind: "hello" }
  /** The run as it stands (mirror.ts). */
  | { kind: "watch"; seen: unknown }
  /** Wants the table · saves it first · saved it · would lose something by giving it. */
  | { kind: "give" | "giving" | "given" }
  | { kind: "held"; why: string }
  /** The list of runs is another one · runs are off it, or on it again, while that can be taken back. */
  | { kind: "runs" }
  | { kind: "removed" | "back"; ids: string[] };

export interface Channel {
  post(news: News): void;
  /** Hears what other tabs post. */
  listen(listener: (news: News) => void): void;
}

/** Between all tabs of this origin; silent where the browser has no such thing. */
export function openChannel(name = "selora"): Channel {
  if (typeof BroadcastChannel === "undefined") return { post: () => {}, listen: () => {} };
  const channel = new BroadcastChannel(name);
  return {
    post: (news) => channel.postMessage(news),
    listen: (listener) =>
      channel.addEventListener("message", ({ data }) => {
        if (typeof data?.kind === "string") listener(data);
      }),
  };
}

export interface TabsState {
  /** Whether this tab has the table; null before that is known. */
  mine: boolean | null;
  /** Whether the browser can tell tabs apart at all. */
  tells: boolean;
  /** What the tab that has it, or where tabs cannot be told apart another, shows; null while none has said anything. */
  seen: unknown;
  /** Taking over: asked · the other tab saves · not yet, as it would lose something. */
  taking: { kind: "asked" | "giving" } | { kind: "held"; why: string } | null;
}

export interface Tabs extends StoreApi<TabsState> {
  /** Takes the table when it is free. @returns at once whether it was, and a promise of getting it */
  take(): Promise<{ free: boolean; mine: Promise<void> }>;
  /** Asks the tab that has it to save and give it up, and takes it when that does not answer. */
  takeOver(): void;
  /** Takes it whatever the other tab says. */
  steal(): void;
}

/** Milliseconds in which a tab that is asked has to answer, and then to have saved. */
const PATIENCE = { answer: 4_000, save: 60_000 };

interface Ways {
  /** Saves what this tab has. @returns why it cannot give it up without a loss, or null */
  give(): Promise<string | null>;
  /** The table is another tab's now. */
  lost(): void;
}

export function createTabs(
  channel: Channel,
  {
    locks = globalThis.navigator?.locks,
    patience = PATIENCE,
  }: { locks?: Pick<LockManager, "request"> | undefined; patience?: typeof PATIENCE } = {},
): Tabs & { ways: Ways } {
  const store = createStore<TabsState>(() => ({ mine: null, tells: !!locks, seen: null, taking: null }));
  const { getState: get, setState: set } = store;
  const ways: Ways = { give: async () => null, lost: () => {} };
  let waiting = new AbortController();
  let got: () => void = () => {};
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Asks for the lock, and holds it for good once it has it; false when it is not to be had. */
  function hold(options: LockOptions): Promise<boolean> {
    return new Promise((resolve) => {
      let held = false;
      (locks as LockManager)
        .request("selora-table", options, (lock) => {
          held = lock !== null;
          if (held) {
            clearTimeout(timer);
            set({ mine: true, seen: null, taking: null });
            got();
          }
          resolve(held);
          return held ? new Promise<never>(() => {}) : undefined;
        })
        .catch(() => {
          if (held) {
            set({ mine: false });
            ways.lost();
          }
          resolve(false);
        });
    });
  }

  function steal(): void {
    clearTimeout(timer);
    // The place in the queue would come after the robbery.
    waiting.abort();
    waiting = new AbortController();
    void hold({ steal: true });
  }
  function within(milliseconds: number): void {
    clearTimeout(timer);
    timer = setTimeout(steal, milliseconds);
  }

  channel.listen((news) => {
    const { mine, taking } = get();
    if (news.kind === "give" && mine) {
      channel.post({ kind: "giving" });
      void ways
        .give()
        .catch((error: unknown) => Failure.from(error).parts.what)
        .then((why) => channel.post(why === null ? { kind: "given" } : { kind: "held", why }));
    }
    if (news.kind === "watch" && (mine === false || !locks)) set({ seen: news.seen });
    // Answers to another tab that asked are none of this one's.
    if (taking?.kind !== "asked" && taking?.kind !== "giving") return;
    if (news.kind === "giving") {
      set({ taking: { kind: "giving" } });
      within(patience.save);
    }
    if (news.kind === "given") steal();
    if (news.kind === "held") {
      clearTimeout(timer);
      set({ taking: { kind: "held", why: String(news.why).slice(0, 500) } });
    }
  });

  return {
    ...store,
    ways,

    async take() {
      const mine = new Promise<void>((resolve) => {
        got = resolve;
      });
      if (!locks) {
        set({ mine: true });
        channel.post({ kind: "hello" });
        return { free: true, mine: Promise.resolve() };
      }
      const free = await hold({ ifAvailable: true });
      if (!free) {
        set({ mine: false });
        void hold({ signal: waiting.signal });
        channel.post({ kind: "hello" });
      }
      return { free, mine };
    },

    takeOver() {
      set({ taking: { kind: "asked" } });
      channel.post({ kind: "give" });
      within(patience.answer);
    },

    steal,
  };
}
