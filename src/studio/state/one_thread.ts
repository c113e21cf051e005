// Part of the address under which the engine starts without threads. It stands beside the recipe there, and is none of its
// settings.

const MARK = "one-thread";
const partsOf = (hash: string) => hash.replace(/^#/, "").split("&").filter(Boolean);

/** Whether an address's hash asks for one thread. */
export const asksOneThread = (hash: string): boolean => partsOf(hash).includes(MARK);

/** What the hash says of the recipe, without `#`. */
export const recipePart = (hash: string): string =>
  partsOf(hash)
    .filter((part) => part !== MARK)
    .join("&");

/** A hash with its `#`, or nothing, of a recipe's part. */
export function hashOf(recipe: string, oneThread: boolean): string {
  const parts = [oneThread ? MARK : "", recipe].filter(Boolean);
  return parts.length > 0 ? `#${parts.join("&")}` : "";
}
