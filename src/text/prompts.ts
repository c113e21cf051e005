// Prompt templates: sentences with {} where the class name goes. A class is the mean of its sentences.

/** Sets that are known by name. `ensemble` is the short set of seven that OpenAI's CLIP notebook found to do as well on
 *  ImageNet as all eighty (Radford et al. 2021, arXiv 2103.00020, 3.1.4 is on ensembles). */
export const promptSets = {
  single: ["a photo of a {}."],
  ensemble: [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
  ],
} as const;

/** Templates from text: a set's name, or templates one a line (or with | between). Blank ones are left out. */
export function readTemplates(text: string): string[] {
  const name = text.trim();
  if (name === "single" || name === "ensemble") return [...promptSets[name]];
  return text
    .split(/[\n|]/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

/** What is wrong with templates, in a sentence; null when they can be used. */
export function templateProblem(text: string): string | null {
  const templates = readTemplates(text);
  if (templates.length === 0) return "There is no template";
  if (templates.length > 100) return `There are ${templates.length} templates; at most 100 are used`;
  const without = templates.find((template) => !template.includes("{}"));
  return without === undefined ? null : `"${without.slice(0, 60)}" has no {} for the class name`;
}

/** A class name as it stands in a sentence: folders write `golden_retriever`, labels `tench, Tinca tinca`. */
export function spokenName(name: string): string {
  const first = (name.split(",")[0] as string).trim() || name;
  return first.replace(/_+/g, " ").trim() || name;
}

/** The sentences of one class. */
export function fillTemplates(templates: readonly string[], name: string): string[] {
  return templates.map((template) => template.replaceAll("{}", () => spokenName(name)));
}
