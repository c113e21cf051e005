// Where the page begins: the engine in its worker, the stores over it, the page over them.
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./studio.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Failure } from "../failure.ts";
import { connectSession } from "../session/client.ts";
import { openKeep } from "../session/keep.ts";
import { connectLibrary } from "../session/library_client.ts";
import { App } from "./App.tsx";
import { createClockStore } from "./state/clock_store.ts";
import { createLibraryStore } from "./state/library_store.ts";
import { asksOneThread } from "./state/one_thread.ts";
import { browserAddress, createRecipeStore } from "./state/recipe_store.ts";
import { createRunner } from "./state/runner.ts";
import { createRunsStore } from "./state/runs_store.ts";
import { createSessionStore } from "./state/session_store.ts";
import { createSitting } from "./state/sitting.ts";
import { StudioContext } from "./state/studio.ts";
import { createTabs, openChannel } from "./state/tabs.ts";
import { cssVariables, theme } from "./theme.ts";

const session = createSessionStore(connectSession(asksOneThread(location.hash)));
const recipe = createRecipeStore(browserAddress);
const library = createLibraryStore(connectLibrary());
const kept = openKeep();
kept.catch(() => {});
const keep = () => kept;
const channel = openChannel();
const tabs = createTabs(channel);
const runs = createRunsStore(keep, channel);
const mine = () => tabs.getState().mine === true;
const runner = createRunner(session, runs, mine);
const clock = createClockStore(session, runs, runner);
const sitting = createSitting({ session, runs, runner, recipe }, keep, { tabs });
tabs.ways.give = sitting.giveUp;
// A page without its table has nothing left to do but to begin anew, as one that watches.
tabs.ways.lost = () => location.reload();
// Hardly anybody watches; the first who does has it fetched.
let watched = false;
async function show() {
  if (watched) return;
  watched = true;
  const { mirror } = await import("./state/mirror.ts");
  mirror(session, runner, clock, channel, mine);
}
const notShown = () => {
  watched = false;
};
channel.listen(({ kind }) => {
  if (kind === "hello") show().catch(notShown);
});
tabs.subscribe((now, before) => {
  // Others may be waiting still.
  if (now.mine && before.mine === false) show().catch(notShown);
});
const unheard = tabs.subscribe(({ tells, seen }) => {
  if (tells || seen === null) return;
  unheard();
  session.addFailure(
    new Failure({
      code: "state",
      what: "Selora is open in another tab, and this browser does not let the two keep out of each other's way. The one opened last is kept.",
      remedy: "Close one of them.",
    }),
  );
});
void sitting.begin();

// A file dropped beside a drop zone would otherwise replace the page, and the run with it.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
addEventListener("beforeunload", (event) => {
  // What is kept is there again after a reload; only what is not is asked about.
  const { running } = session.getState();
  if (running && mine() && sitting.getState().status !== "here") event.preventDefault();
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root.");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <StudioContext value={{ session, recipe, library, runs, runner, clock, sitting, tabs }}>
        <App />
      </StudioContext>
    </MantineProvider>
  </StrictMode>,
);
