// Settings as people write them: 1e-4, 1,5, 20 %, 1 000. What cannot be read, or may be read in two ways, is not guessed at.
import { type Recipe, recipeSchema } from "../../session/recipe.ts";
import { formatCount } from "../shared/format.ts";

export type RecipeKey = keyof Recipe;

/** What a setting may be, read off the schema: one of a list, a text, or a number within bounds. */
export type Bounds =
  | { kind: "choice"; options: string[] }
  | { kind: "text"; takes: (text: string) => boolean }
  | {
      kind: "number";
      min: number;
      /** Whether it must be more than `min`. */
      above: boolean;
      max: number;
      whole: boolean;
    };

export function boundsOf(key: RecipeKey): Bounds {
  const field = recipeSchema.shape[key].unwrap();
  if ("options" in field) return { kind: "choice", options: [...field.options] };
  if (field.type === "string") return { kind: "text", takes: (text) => field.safeParse(text).success };
  const min = field.minValue ?? Number.NEGATIVE_INFINITY;
  return {
    kind: "number",
    min,
    above: !field.safeParse(min).success,
    max: field.maxValue ?? Number.POSITIVE_INFINITY,
    whole: field.format === "safeint",
  };
}

const plain = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/;

/**
 * A number as a person writes it: with a point or a comma, 1e-4 or 1×10^-4, thousands apart by spaces, a share in per
 * cent. "ambiguous": 1,000 may be a thousand or one. null: no number.
 */
export function readNumber(text: string): number | "ambiguous" | null {
  let rest = text
    .trim()
    .toLowerCase()
    .replaceAll("−", "-")
    .replace(/\s*[×x*·]\s*10\s*\^?\s*(?=[+-]?\d+$)/, "e");
  const share = /\s*%$/.test(rest);
  rest = rest.replace(/\s*%$/, "");
  if (/^[+-]?\d{1,3}([\s'’]\d{3})+(?!\d)/.test(rest)) rest = rest.replace(/(?<=\d)[\s'’](?=\d{3})/g, "");
  const commas = rest.split(",").length - 1;
  if (commas > 0) {
    if (/^[+-]?[1-9]\d{0,2}(,\d{3})+$/.test(rest)) return "ambiguous";
    // Thousands by commas before a point, or one comma for the point.
    if (/^[+-]?\d{1,3}(,\d{3})+\.\d*(e[+-]?\d+)?$/.test(rest)) rest = rest.replaceAll(",", "");
    else if (commas === 1 && !rest.includes(".")) rest = rest.replace(",", ".");
    else return null;
  }
  if (!plain.test(rest)) return null;
  const value = Number(rest);
  if (!Number.isFinite(value)) return null;
  return share ? value / 100 : value;
}

/** What a number may be, to go on with after "Give". */
export function rangeWords({ min, above, max, whole }: Extract<Bounds, { kind: "number" }>): string {
  const number = (value: number) => (whole ? formatCount(value) : String(value));
  const kind = whole ? "a whole number" : "a number";
  return above
    ? `${kind} above ${number(min)}, at most ${number(max)}`
    : `${kind} from ${number(min)} to ${number(max)}`;
}

/** A setting's value out of what was typed, or a sentence on what would do. */
export function readSetting(
  key: RecipeKey,
  text: string,
): { value: Recipe[RecipeKey] } | { problem: string } {
  const bounds = boundsOf(key);
  const number = bounds.kind === "number" ? readNumber(text) : null;
  if (number === "ambiguous")
    return { problem: `${text.trim()} can be read in two ways: write it without a comma.` };
  const parsed = recipeSchema.shape[key].unwrap().safeParse(bounds.kind === "number" ? number : text.trim());
  if (parsed.success) return { value: parsed.data as Recipe[RecipeKey] };
  if (bounds.kind === "number") return { problem: `Give ${rangeWords(bounds)}.` };
  const [first] = parsed.error.issues;
  return { problem: `${first?.message ?? "This cannot be"}.` };
}
