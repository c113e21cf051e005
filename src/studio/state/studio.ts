// The studio's two stores within reach of every panel, as thin hooks over vanilla stores.
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { RecipeState, RecipeStore } from "./recipe_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";

export interface Studio {
  session: SessionStore;
  recipe: RecipeStore;
}

export const StudioContext = createContext<Studio | null>(null);

/** Both stores, for their actions. */
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
