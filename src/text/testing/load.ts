// The fixtures of interop/make_fixtures_text.py as a person would drop them, for tests.
import { openAsBlob, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readSafetensors } from "../../checkpoint/safetensors.ts";
import { type Fixture, readFixture } from "../../checkpoint/testing/fixture.ts";
import type { SourceFile } from "../../source_file.ts";
import type { TextSource } from "../tower.ts";

/** Every file of a fixture's folder, under its name. */
export function textFiles(name: string): Promise<SourceFile[]> {
  const folder = fileURLToPath(new URL(`../fixtures/${name}/`, import.meta.url));
  const files = readdirSync(folder).map(async (file) => ({
    path: `${name}/${file}`,
    blob: await openAsBlob(folder + file),
  }));
  return Promise.all(files);
}

/** What a checkpoint of these files offers to the text room. */
export async function textSource(files: readonly SourceFile[]): Promise<TextSource> {
  const weights = files.find(({ path }) => path.endsWith(".safetensors")) as SourceFile;
  const config = files.find(({ path }) => /\/(open_clip_)?config\.json$/.test(path));
  const { tensors } = await readSafetensors(weights.blob, weights.path);
  return {
    tensors,
    config: JSON.parse((await config?.blob.text()) ?? "null"),
  };
}

/** What the real libraries say of the same prompts and pictures. */
export const expectedText = (): Promise<Fixture> =>
  readFixture(new URL("../fixtures/expected.safetensors", import.meta.url));
