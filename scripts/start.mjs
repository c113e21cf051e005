// `npm start`: installs what is missing, builds the studio and serves it. Everything is served from this machine,
// so that it works offline. PORT chooses the port.
import { installPackages, renderDemo, run, tool } from "./setup.mjs";

installPackages();
renderDemo();
const built = run(tool("vite"), ["build", "--logLevel", "warn"]);
if (built !== 0) process.exit(built);
const port = process.env.PORT ?? "5173";
process.exit(run(tool("vite"), ["preview", "--port", port, "--strictPort"]));
