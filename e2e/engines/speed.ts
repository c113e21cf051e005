// How long the same run takes in each engine on one thread, which all of them have. Not a test: a busy machine slows it.
//
//   npx vite build && npx tsx e2e/engines/speed.ts
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { engines } from "./engine.ts";
import { startHost } from "./host.ts";

const STRIP = `return document.querySelector('section[aria-label="Run"]')?.textContent ?? "";`;

const index = JSON.parse(readFileSync(join(import.meta.dirname, "../../dist/demo/data/index.json"), "utf8"));
const set = (title: string) => ({ title, file: index.ood[0].file });
const host = await startHost({
  "/demo/data/index.json": JSON.stringify({
    target: set("Some emoji"),
    ood: [],
    retention: [set("Known emoji")],
    recipe: { learningRate: 0.005, epochs: 4 },
  }),
});
for (const { name, open } of engines) {
  const engine = await open().catch((error: Error) => console.log(`${name}: ${error.message}`));
  if (!engine) continue;
  const strip = async (wanted: RegExp) => {
    for (;;) {
      const words = await engine.evaluate<string>(STRIP);
      const found = wanted.exec(words);
      if (found) return found;
      await sleep(200);
    }
  };
  const press = (text: string) => engine.click({ selector: "button", name: text });
  await engine.goto(`${host.url}#one-thread`);
  await press("Load the demo only");
  await strip(/Ready/);
  const times: number[] = [];
  for (const start of ["Start", ...Array(4).fill("Run again")]) {
    const since = performance.now();
    await press(start);
    await strip(/step \d/);
    await strip(/Done/);
    times.push((performance.now() - since) / 1000);
  }
  console.log(
    `${name} ${engine.version}: ${times.map((one) => one.toFixed(1)).join(", ")} s; load ${loadavg()[0]?.toFixed(1)}`,
  );
  await engine.close();
}
await host.close();
