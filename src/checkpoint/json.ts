// JSON from outside, parsed without trust: how deep, how much and which keys are checked on the text before
// JSON.parse may build anything. Safetensors headers and both config files come through here.
import { Failure } from "../failure.ts";

/** Makes text from a file fit to stand in a sentence: no control or direction characters, at most 80 long. */
export function quoted(text: string): string {
  const clean = text.slice(0, 81).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
  return `"${clean.length > 80 ? `${clean.slice(0, 77)}...` : clean}"`;
}

const MAX_DEPTH = 32;
// A key or an element. A header of 50,000 tensors of rank 4 has about 700,000.
const MAX_ITEMS = 1_000_000;
const MAX_KEY = 10_000;

/**
 * Parses `text` as one JSON object. A key that stands twice in one object, nesting past 32 levels, more than
 * `maxItems` (a million), or anything that is not an object is a Failure that names `where`.
 */
export function parseJsonObject(text: string, where: string, maxItems = MAX_ITEMS): Record<string, unknown> {
  checkStructure(text, where, maxItems);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Failure(
      {
        code: "bad-file",
        what: "This is not valid JSON.",
        where,
        remedy: "Download or save the file again.",
      },
      { cause },
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Failure({
      code: "bad-file",
      what: "This JSON is not an object.",
      where,
      remedy: "Choose the file that was saved with the model.",
    });
  }
  return value as Record<string, unknown>;
}

/** Keys whose value a JSON text writes as a whole number with a decimal point (`1.0`). JSON.parse forgets it, and
 *  transformers refuses a config where such a value comes back as an integer. */
export function wholeFloats(text: string): Set<string> {
  return new Set(
    [...text.matchAll(/"(\w{1,200})"\s*:\s*-?\d{1,15}\.0+(?=[\s,}])/g)].map(([, key]) => key as string),
  );
}

/** `value` as indented JSON text, with a decimal point in the whole numbers under the keys of `floats`. */
export function jsonText(value: unknown, floats: ReadonlySet<string> = new Set()): string {
  const text = JSON.stringify(value, null, 2);
  if (floats.size === 0) return `${text}\n`;
  const dotted = text.replace(
    /^( *"(\w+)": -?\d+)(,?)$/gm,
    (line, start: string, key: string, comma: string) => (floats.has(key) ? `${start}.0${comma}` : line),
  );
  return `${dotted}\n`;
}

// One pass over the tokens. Where the text is not JSON it may misread them; JSON.parse then says so.
function checkStructure(text: string, where: string, maxItems: number): void {
  const refuse = (what: string): never => {
    throw new Failure({ code: "bad-file", what, where, remedy: "Download or save the file again." });
  };
  // Keys seen in each open object; null for an array.
  const open: (Set<string> | null)[] = [];
  let expectKey = false;
  let items = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22 /* " */:
        {
          const start = i + 1;
          let escaped = false;
          for (i = start; i < text.length; i++) {
            const code = text.charCodeAt(i);
            if (code === 0x22) break;
            if (code === 0x5c) {
              escaped = true;
              i++;
            }
          }
          const keys = open.at(-1);
          if (!expectKey || !keys) break;
          if (i - start > MAX_KEY)
            refuse(`A name is ${i - start} characters long; at most ${MAX_KEY} are read.`);
          const key = escaped ? unescaped(text.slice(start - 1, i + 1)) : text.slice(start, i);
          if (keys.has(key)) refuse(`The name ${quoted(key)} stands twice.`);
          keys.add(key);
          expectKey = false;
          break;
        }
      case 0x7b /* { */:
        if (++items > maxItems) refuse(`This JSON has more than ${maxItems} entries.`);
        if (open.push(new Set()) > MAX_DEPTH) refuse(`This JSON is nested deeper than ${MAX_DEPTH} levels.`);
        expectKey = true;
        break;
      case 0x5b /* [ */:
        if (open.push(null) > MAX_DEPTH) refuse(`This JSON is nested deeper than ${MAX_DEPTH} levels.`);
        expectKey = false;
        break;
      case 0x7d /* } */:
      case 0x5d /* ] */:
        open.pop();
        expectKey = false;
        break;
      case 0x2c /* , */:
        if (++items > maxItems) refuse(`This JSON has more than ${maxItems} entries.`);
        expectKey = Boolean(open.at(-1));
        break;
    }
  }
}

function unescaped(literal: string): string {
  try {
    return JSON.parse(literal) as string;
  } catch {
    return literal;
  }
}
