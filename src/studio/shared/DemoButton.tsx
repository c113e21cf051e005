// One press for a model, a target, other styles and what the model knew before, and a run on them; or what came of one, to
// look around in without waiting.
import { Button, type ButtonProps } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { blockedBy } from "../state/recipe_store.ts";
import { useSession, useStudio } from "../state/studio.ts";
import { Icon } from "./Icon.tsx";

function useDemo() {
  const { session, recipe, runner } = useStudio();
  const busy = useSession((state) => state.running || state.reading.length > 0);
  const loading = useSession((state) => state.reading.some((one) => one.what === "demo"));

  /** Loads the demo and suggests its recipe; false where that was not wished, or failed. */
  async function load(): Promise<boolean> {
    if (!(await session.mayDropRun())) return false;
    const demoRecipe = await session.loadDemo(recipe.getState().recipe.seed);
    if (demoRecipe === null) return false;
    recipe.suggest(demoRecipe);
    return true;
  }
  async function loadOnly() {
    if (await load())
      notifications.show({
        message: "The demo is loaded. Press Start to adapt the model.",
        autoClose: 6000,
      });
  }
  async function run() {
    // What was typed and cannot be stays in its field; the strip says so.
    if ((await load()) && blockedBy(recipe.getState()) === null)
      await runner.start(recipe.getState().recipe, 1);
  }
  async function see() {
    // What is not there is told of before anything on the page is replaced.
    const finished = await session.fetchFinishedRun();
    if (!finished || !(await load())) return;
    await session.restoreRun(finished.saved, finished.history);
  }
  return { run, loadOnly, see, busy, loading };
}

export function DemoButton(props: Pick<ButtonProps, "size" | "variant">) {
  const { run, busy, loading } = useDemo();
  return (
    <Button
      variant="light"
      {...props}
      leftSection={<Icon name="spark" />}
      disabled={busy}
      onClick={() => void run()}
    >
      {loading ? "Loading the demo …" : "Try the demo"}
    </Button>
  );
}

/** All that there is to do with the demo. */
export function DemoChoices() {
  const { loadOnly, see, busy } = useDemo();
  return (
    <div className="row wraps">
      <DemoButton size="sm" variant="filled" />
      <Button size="sm" variant="default" disabled={busy} onClick={() => void see()}>
        See a finished run
      </Button>
      <button type="button" className="linkish" disabled={busy} onClick={() => void loadOnly()}>
        Load the demo only
      </button>
    </div>
  );
}

/** A quieter line for a panel that teaches what to drop. */
export function DemoLink() {
  const { loadOnly, busy } = useDemo();
  return (
    <div>
      <button type="button" className="linkish" disabled={busy} onClick={() => void loadOnly()}>
        <Icon name="spark" />
        Nothing at hand? Load the demo's
      </button>
    </div>
  );
}
