// The studio's stores within reach of every panel, as thin hooks over vanilla stores.
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { ClockState, ClockStore } from "./clock_store.ts";
import type { LibraryState, LibraryStore } from "./library_store.ts";
import type { RecipeState, RecipeStore } from "./recipe_store.ts";
import type { Runner, RunnerState } from "./runner.ts";
import type { RunsState, RunsStore } from "./runs_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";
import type { SittingState, SittingStore } from "./sitting.ts";
import type { Tabs, TabsState } from "./tabs.ts";

export interface Studio {
  session: SessionStore;
  recipe: RecipeStore;
  library: LibraryStore;
  runs: RunsStore;
  runner: Runner;
  clock: ClockStore;
  sitting: SittingStore;
  tabs: Tabs;
}

export const StudioContext = createContext<Studio | null>(null);

/** The stores, for their actions. */
export function useStudio(): Studio {
  const studio = useContext(StudioContext);
  if (studio === null) throw new Error("A panel stands outside StudioContext.");
  return studio;
}

/** A part of the session's state; the component renders again when that part changes. */
export function useSession<T>(select: (state: StudioState) => T): T {
  return useStore(useStudio().session, select);
}

export function useRecipe<T>(select: (state: RecipeState) => T): T {
  return useStore(useStudio().recipe, select);
}

export function useLibrary<T>(select: (state: LibraryState) => T): T {
  return useStore(useStudio().library, select);
}

export function useRuns<T>(select: (state: RunsState) => T): T {
  return useStore(useStudio().runs, select);
}

export function useRunner<T>(select: (state: RunnerState) => T): T {
  return useStore(useStudio().runner, select);
}

export function useClock<T>(select: (state: ClockState) => T): T {
  return useStore(useStudio().clock, select);
}

export function useSitting<T>(select: (state: SittingState) => T): T {
  return useStore(useStudio().sitting, select);
}

export function useTabs<T>(select: (state: TabsState) => T): T {
  return useStore(useStudio().tabs, select);
}
