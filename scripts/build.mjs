// `npm run build`: installs what is missing and builds the studio into dist/, which any static host serves as it is.
import { installPackages, renderDemo, run, tool } from "./setup.mjs";

installPackages();
renderDemo();
process.exit(run(tool("vite"), ["build", "--logLevel", "warn"]));
