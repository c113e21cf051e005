// The decoder as one script that a page of its own can import, and what it must give: fixtures of PIL.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import type { ResizeSpec } from "../src/dataset/types.ts";

export const fixtures = join(import.meta.dirname, "..", "src", "dataset", "fixtures");
interface Manifest {
  images: { name: string; width: number; height: number; lossy: boolean; sha256: string }[];
  specs: { name: string; spec: ResizeSpec; images: string[] }[];
}
interface OddFile {
  name: string;
  file: string;
  width: number;
  height: number;
  pixels: string;
}
export const odd: Record<"deep" | "turned", OddFile[]> = JSON.parse(
  readFileSync(join(fixtures, "odd_files.json"), "utf8"),
);
export const manifest: Manifest = JSON.parse(readFileSync(join(fixtures, "preprocess.json"), "utf8"));

/** The module as one script a page can import. */
export async function bundlePixels(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: false,
      target: "esnext",
      lib: { entry: join(import.meta.dirname, "pixels_module.ts"), formats: ["es"], fileName: "pixels" },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!output || !("output" in output)) throw new Error("nothing was built");
  return output.output[0].code;
}
