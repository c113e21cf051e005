// The built-in demo, fetched from the studio's own origin: a small model and emoji as different artists drew them.
import { z } from "zod";
import { Failure } from "../../failure.ts";
import type { Recipe, SetRole, SourceFile } from "../../session/protocol.ts";
import { recipeSchema } from "../../session/recipe.ts";

const setSchema = z.object({ title: z.string(), file: z.string().regex(/^[\w.-]+$/) });
/** Some settings, checked; what is not named stays unnamed rather than at its default. */
const settingsSchema = z.record(z.string(), z.unknown()).transform((named) => {
  const recipe = Object.entries(recipeSchema.parse(named));
  return Object.fromEntries(recipe.filter(([key]) => Object.hasOwn(named, key))) as Partial<Recipe>;
});
const indexSchema = z.object({
  target: setSchema,
  ood: z.array(setSchema),
  retention: z.array(setSchema),
  recipe: settingsSchema.optional(),
});

const creditsSchema = z.array(
  z.object({
    title: z.string(),
    style: z.string(),
    artist: z.string(),
    licence: z.string(),
    role: z.string(),
  }),
);
export type Credit = z.infer<typeof creditsSchema>[number];

const modelFiles = ["model.safetensors", "config.json", "preprocessor_config.json"];
const address = (path: string) => `${import.meta.env.BASE_URL}demo/${path}`;

async function get(path: string): Promise<Response> {
  const response = await fetch(address(path)).catch(() => null);
  if (response?.ok) return response;
  throw new Failure({
    code: "bad-file",
    what: "A file of the demo could not be fetched.",
    where: `demo/${path}`,
    remedy: "Start the studio with npm start, which draws the demo's pictures first.",
  });
}

export interface Demo {
  model: SourceFile[];
  sets: { role: SetRole; name: string; files: SourceFile[] }[];
  /** Settings that the demo is tuned to, where it says so. */
  recipe: Partial<Recipe> | null;
}

/** Fetches all of the demo. Throws Failure when a file is not there. */
export async function fetchDemo(): Promise<Demo> {
  const index = indexSchema.parse(await (await get("data/index.json")).json());
  const source = async (path: string): Promise<SourceFile> => ({
    path: path.replace(/^(model|data)\//, ""),
    blob: await (await get(path)).blob(),
  });
  const sets = [
    { role: "target" as const, ...index.target },
    ...index.ood.map((set) => ({ role: "ood" as const, ...set })),
    ...index.retention.map((set) => ({ role: "retention" as const, ...set })),
  ];
  const [model, data] = await Promise.all([
    Promise.all(modelFiles.map((file) => source(`model/${file}`))),
    Promise.all(sets.map((set) => source(`data/${set.file}`))),
  ]);
  return {
    model: model.map((file) => ({ ...file, path: `demo-vit/${file.path}` })),
    sets: sets.map(({ role, title }, i) => ({ role, name: title, files: data.slice(i, i + 1) })),
    recipe: index.recipe ?? null,
  };
}

/** Who drew the demo's pictures, and under which licence. */
export async function fetchCredits(): Promise<Credit[]> {
  return creditsSchema.parse(await (await get("credits.json")).json());
}
