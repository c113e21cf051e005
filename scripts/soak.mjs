// `npm run test:soak`: a thousand training steps on a WebGPU device, after the first of which nothing may grow. `npm test`
// makes two hundred of them.
import { ensureChromium, installPackages, run, tool } from "./setup.mjs";

installPackages();
const gpu = await ensureChromium();
process.exit(run(tool("vitest"), ["run", "src/training/soak.test.ts"], { ...gpu, SOAK_STEPS: "1000" }));
