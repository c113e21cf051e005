// Packs the project as npm does, installs the package into an empty folder as a person would, and uses it there: the
// terminal trains on the demo, and the studio is served. Nothing that only the project's own work needs comes with it.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./setup.mjs";

const { devDependencies, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

function must(ok, what) {
  if (!ok) throw new Error(what);
}

function run(folder, command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
  must(status === 0, `${command} ${args.join(" ")} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** The address that a server prints once it is up. */
function addressOf(server) {
  return new Promise((resolve, reject) => {
    server.stdout.on("data", (text) => {
      const found = /http:\/\/\S+\//.exec(String(text));
      if (found) resolve(found[0]);
    });
    server.on("exit", (code) => reject(new Error(`the studio's server ended with ${code}`)));
  });
}

async function studioIsServed(folder) {
  const selora = join(folder, "node_modules", ".bin", "selora");
  const server = spawn(selora, ["studio", "--port", "0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const address = await addressOf(server);
    const page = await fetch(address);
    must(page.headers.get("cross-origin-opener-policy") === "same-origin", "the page is not isolated");
    const script = /src="\.\/(assets\/index-[^"]+\.js)"/.exec(await page.text())?.[1];
    must(script && (await fetch(new URL(script, address))).ok, "the page's script is not served");
    must((await fetch(new URL("../package.json", address))).status === 404, "more than the studio is served");
    must((await fetch(new URL("demo/model/model.safetensors", address))).ok, "the demo is not served");
  } finally {
    server.removeAllListeners("exit");
    server.kill("SIGTERM");
  }
}

/** @returns whether all of it holds; what does not is printed */
export async function tryPackage() {
  const folder = mkdtempSync(join(tmpdir(), "selora-package-"));
  try {
    const [packed] = JSON.parse(
      run(root, "npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder]),
    );
    console.log(`package: ${packed.entryCount} files, ${(packed.size / 1e6).toFixed(1)} MB`);
    writeFileSync(join(folder, "package.json"), '{ "private": true }');
    run(folder, "npm", [
      "install",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      join(folder, packed.filename),
    ]);
    const installed = readdirSync(join(folder, "node_modules"));
    const own = Object.keys(devDependencies).filter(
      (name) => !(name in dependencies) && installed.includes(name),
    );
    must(own.length === 0, `packages come along that only the project's own work needs: ${own.join(", ")}`);

    run(folder, "npx", ["--no", "selora", "--help"]);
    const demo = join("node_modules", "selora", "dist", "demo");
    const target = join(demo, "data", "target-fluent-emoji-high-contrast.zip");
    run(folder, "npx", [
      ...["--no", "selora", "finetune", "--model", join(demo, "model"), "--target", target],
      ...["--method", "linear", "--epochs", "1", "--backend", "wasm", "--out", "trained"],
    ]);
    must(existsSync(join(folder, "trained", "model.safetensors")), "no model was written");
    await studioIsServed(folder);
    return true;
  } catch (error) {
    console.error(`The package does not work: ${error.message}`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
