// Where the page begins: the engine in its worker, the stores over it, the page over them.
import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./studio.css";
import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { connectSession } from "../session/client.ts";
import { App } from "./App.tsx";
import { browserAddress, createRecipeStore } from "./state/recipe_store.ts";
import { createSessionStore } from "./state/session_store.ts";
import { StudioContext } from "./state/studio.ts";
import { cssVariables, theme } from "./theme.ts";

const session = createSessionStore(connectSession());
const recipe = createRecipeStore(browserAddress);
void session.open("auto");

// A file dropped beside a drop zone would otherwise replace the page, and the run with it.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
addEventListener("beforeunload", (event) => {
  if (session.getState().running) event.preventDefault();
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root.");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <StudioContext value={{ session, recipe }}>
        <App />
      </StudioContext>
    </MantineProvider>
  </StrictMode>,
);
