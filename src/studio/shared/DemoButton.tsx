// One press for a model, a target, other styles and what the model knew before.
import { Button, type ButtonProps } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useSession, useStudio } from "../state/studio.ts";
import { Icon } from "./Icon.tsx";

function useDemo() {
  const { session, recipe } = useStudio();
  const busy = useSession((state) => state.running || state.reading.length > 0);
  const loading = useSession((state) => state.reading.some((one) => one.what === "demo"));

  async function load() {
    if (!(await session.mayDropRun())) return;
    const demoRecipe = await session.loadDemo(recipe.getState().recipe.seed);
    if (demoRecipe === null) return;
    recipe.suggest(demoRecipe);
    notifications.show({ message: "The demo is loaded. Press Start to adapt the model.", autoClose: 6000 });
  }
  return { load, busy, loading };
}

export function DemoButton(props: Pick<ButtonProps, "size" | "variant">) {
  const { load, busy, loading } = useDemo();
  return (
    <Button variant="light" {...props} leftSection={<Icon name="spark" />} disabled={busy} onClick={load}>
      {loading ? "Loading the demo …" : "Try the demo"}
    </Button>
  );
}

/** The same for a panel that teaches what to drop: a quieter line in it. */
export function DemoLink() {
  const { load, busy } = useDemo();
  return (
    <div>
      <button type="button" className="linkish" disabled={busy} onClick={load}>
        <Icon name="spark" />
        Nothing at hand? Try the demo
      </button>
    </div>
  );
}
