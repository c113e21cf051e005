// Compiles assembly/ into the two modules beside this file, with and without relaxed SIMD. They are checked in, so that
// nothing has to be built before Vite, Node or a test can load them; machine.test.ts holds them to their source.
//   npx tsx src/tensor/wasm/build.ts
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { main } from "assemblyscript/asc";

const here = dirname(fileURLToPath(import.meta.url));

/** The modules and the features each may use. */
export const modules = { "kernels.wasm": "simd,threads", "kernels_fma.wasm": "simd,threads,relaxed-simd" };

/** Compiles one of the modules. */
export async function compile(name: keyof typeof modules): Promise<Uint8Array> {
  let binary: string | Uint8Array = "";
  const { error, stderr } = await main(
    [
      "entry.ts",
      ...["--baseDir", join(here, "assembly"), "--outFile", name, "--enable", modules[name]],
      ...["-O3", "--converge", "--noAssert", "--runtime", "stub", "--use", "abort="],
      // memory is tfjs's; 65536 pages is the most there can be
      ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
    ],
    {
      writeFile: (_, contents) => {
        binary = contents;
      },
    },
  );
  if (error || typeof binary === "string") throw new Error(`${error?.message}\n${stderr}`);
  return binary;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const name of Object.keys(modules) as (keyof typeof modules)[]) {
    const binary = await compile(name);
    await writeFile(join(here, name), binary);
    console.log(`${name}: ${binary.length} bytes`);
  }
}
