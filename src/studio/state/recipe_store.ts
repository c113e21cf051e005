// The recipe a person is putting together, mirrored in the page's address, so that a link reproduces a run on the
// same data. Only settings that differ from their default stand in the address, and never anything of the data.
import { createStore, type StoreApi } from "zustand/vanilla";
import { applies, defaultRecipe, type Recipe, recipeSchema, recipeWords } from "../../session/recipe.ts";
import { asksOneThread, hashOf, recipePart } from "./one_thread.ts";
import { boundsOf, type RecipeKey, readSetting } from "./setting_text.ts";

export { boundsOf, type RecipeKey } from "./setting_text.ts";

export const recipeKeys = Object.keys(defaultRecipe) as RecipeKey[];

/**
 * Reads a recipe from an address's hash, `#rank=8&method=lora`. A value that is out of range or unreadable takes its
 * default, and `problems` says so, a sentence each.
 */
export function readRecipe(hash: string): { recipe: Recipe; problems: string[] } {
  const recipe: Record<string, unknown> = { ...defaultRecipe };
  const problems: string[] = [];
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (!Object.hasOwn(recipeSchema.shape, key)) {
      problems.push(`The link sets "${clip(key)}", which is no setting of a recipe; it was left out.`);
      continue;
    }
    const field = recipeSchema.shape[key as RecipeKey];
    const value = boundsOf(key as RecipeKey).kind === "number" && text.trim() !== "" ? Number(text) : text;
    const parsed = field.safeParse(value);
    if (parsed.success) recipe[key] = parsed.data;
    else {
      const usual = defaultRecipe[key as RecipeKey];
      problems.push(
        `The link sets ${key} to "${clip(text)}", which cannot be; the default ${usual} is used.`,
      );
    }
  }
  return { recipe: recipe as Recipe, problems };
}

const clip = (text: string) => (text.length > 40 ? `${text.slice(0, 40)}…` : text);

/** The hash for a recipe, without `#`; empty for the default recipe. */
export function writeRecipe(recipe: Recipe): string {
  const parameters = new URLSearchParams();
  for (const key of recipeKeys) {
    if (recipe[key] !== defaultRecipe[key]) parameters.set(key, String(recipe[key]));
  }
  return parameters.toString();
}

/** A setting as it is being typed. */
export interface Draft {
  text: string;
  /** Why it is not the setting, a sentence; null where it is. */
  problem: string | null;
}

export interface RecipeState {
  recipe: Recipe;
  /** What is being typed, and what was typed and cannot be: it stays in sight, and no run starts, until it is mended. */
  drafts: Readonly<Partial<Record<RecipeKey, Draft>>>;
  /** What was wrong with the link the page was opened with. */
  problems: string[];
}

export interface RecipeStore extends StoreApi<RecipeState> {
  /** Changes settings; values outside their bounds are not taken. What was being typed of them is gone. */
  change(changes: Partial<Recipe>): void;
  /** What stands in a setting's field now; it is the setting from the moment that it can be. */
  type(key: RecipeKey, text: string): void;
  /** The field was left: what can be is shown as it is used. */
  settle(key: RecipeKey): void;
  /** The field is gone, and with it what stood in it. */
  forget(key: RecipeKey): void;
  /** Changes those settings that stand at their default: what a person or a link has set stays. */
  suggest(changes: Partial<Recipe>): void;
  /**
   * Takes up the settings that lay on the table. A link stands above them: where the address says anything of a recipe,
   * it is the whole of it. What cannot be read is left out, and `problems` says so.
   */
  takeUp(settings: Record<string, unknown>): void;
  reset(): void;
}

/** What keeps a run from starting, as a sentence that names the setting; null where nothing does. */
export function blockedBy({ recipe, drafts }: RecipeState): string | null {
  for (const key of recipeKeys) {
    const problem = drafts[key]?.problem;
    if (problem && applies(key, recipe)) return `${recipeWords[key].label}: ${problem}`;
  }
  return null;
}

/** The hash of a link that gives just this recipe; unlike an address, which may leave everything to the table. */
export const linkTo = (recipe: Recipe): string => writeRecipe(recipe) || `method=${recipe.method}`;

/** The part of the browser the store needs; a test hands in its own. */
export interface AddressBar {
  read(): string;
  write(hash: string): void;
  onChange(listener: () => void): void;
}

export const browserAddress: AddressBar = {
  read: () => recipePart(location.hash),
  write(recipe) {
    const hash = hashOf(recipe, asksOneThread(location.hash));
    history.replaceState(null, "", hash || location.pathname + location.search);
  },
  onChange: (listener) => addEventListener("hashchange", listener),
};

/** A store that starts from the address, follows it, and writes each change back to it. */
export function createRecipeStore(address: AddressBar): RecipeStore {
  const read = () => ({ ...readRecipe(address.read()), drafts: {} });
  const store = createStore<RecipeState>(read);
  address.onChange(() => store.setState(read()));
  const put = (recipe: Recipe, drafts: RecipeState["drafts"]) => {
    store.setState({ recipe, drafts });
    address.write(writeRecipe(recipe));
  };
  const without = (keys: readonly string[]) =>
    Object.fromEntries(Object.entries(store.getState().drafts).filter(([key]) => !keys.includes(key)));
  const change = (changes: Partial<Recipe>) => {
    const parsed = recipeSchema.safeParse({ ...store.getState().recipe, ...changes });
    if (parsed.success) put(parsed.data, without(Object.keys(changes)));
  };
  return {
    ...store,
    change,
    type(key, text) {
      const { recipe, drafts } = store.getState();
      const found = readSetting(key, text);
      const draft = { text, problem: "problem" in found ? found.problem : null };
      put("value" in found ? { ...recipe, [key]: found.value } : recipe, { ...drafts, [key]: draft });
    },
    settle(key) {
      if (store.getState().drafts[key]?.problem === null) store.setState({ drafts: without([key]) });
    },
    forget(key) {
      if (store.getState().drafts[key]) store.setState({ drafts: without([key]) });
    },
    suggest(changes) {
      const { recipe } = store.getState();
      const free = recipeKeys.filter(
        (key) => recipe[key] === defaultRecipe[key] && changes[key] !== undefined,
      );
      change(Object.fromEntries(free.map((key) => [key, changes[key]])));
    },
    takeUp(settings) {
      if (address.read().replace(/^#/, "") !== "") return;
      const recipe: Record<string, unknown> = { ...defaultRecipe };
      const unreadable: string[] = [];
      for (const key of recipeKeys) {
        const parsed = recipeSchema.shape[key].safeParse(settings[key]);
        if (parsed.success) recipe[key] = parsed.data;
        else unreadable.push(key);
      }
      put(recipe as Recipe, {});
      if (unreadable.length > 0)
        store.setState({
          problems: [
            `Of the last visit's recipe ${unreadable.join(", ")} cannot be read; defaults are used.`,
          ],
        });
    },
    reset: () => put(defaultRecipe, {}),
  };
}
