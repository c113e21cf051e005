// Which class of one set is which class of another: folders are named `T-Shirt`, `t_shirt` or `tshirt`, and labels
// `tench, Tinca tinca`. Names decide; what names cannot decide is left to the person.

/** A name without what people write differently: case, space, `-`, `_` and Unicode compatibility forms. */
export function normaliseName(name: string): string {
  const folded = name.normalize("NFKC").toLowerCase();
  const bare = folded.replace(/[\s_\p{Pd}]+/gu, "");
  // A class may be called "-" or "_" and nothing else.
  return bare === "" ? folded : bare;
}

/** `tench` of `tench, Tinca tinca`. */
export function firstPart(label: string): string {
  return (label.split(",")[0] as string).trim();
}

/** Names that mean the same, e.g. `tench, Tinca tinca`: the whole and each part between commas. */
function synonyms(label: string): string[] {
  return [
    label,
    ...label
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  ];
}

/** For each of `names`, the index in `labels` that it means, or null where `fittingLabels` finds none or several. */
export function matchClasses(
  names: readonly string[],
  labels: readonly string[],
): Map<string, number | null> {
  const fitting = fittingLabels(names, labels);
  return new Map([...fitting].map(([name, hits]) => [name, hits.length === 1 ? (hits[0] as number) : null]));
}

/**
 * For each of `names`, the indices in `labels` that it may mean.
 *
 * Tried in turn: the very same text, the very same part before a comma (ImageNet's `Cardigan` is a dog and its
 * `cardigan` a garment), both again normalised, any part in common. The first of these that fits any label decides.
 * ImageNet has two labels `crane`, and a guess between them would be wrong half the time.
 */
export function fittingLabels(names: readonly string[], labels: readonly string[]): Map<string, number[]> {
  const rules: ((name: string) => string[])[] = [
    (name) => [name],
    (name) => [firstPart(name)],
    (name) => [normaliseName(name)],
    (name) => [normaliseName(firstPart(name))],
    (name) => synonyms(name).map(normaliseName),
  ];
  const indexes = rules.map((keys) => {
    const index = new Map<string, Set<number>>();
    labels.forEach((label, i) => {
      for (const key of keys(label)) {
        const found = index.get(key);
        if (found) found.add(i);
        else index.set(key, new Set([i]));
      }
    });
    return index;
  });
  const fitting = new Map<string, number[]>();
  for (const name of names) {
    let hits = new Set<number>();
    for (const [r, rule] of rules.entries()) {
      hits = new Set(rule(name).flatMap((key) => [...(indexes[r]?.get(key) ?? [])]));
      if (hits.size > 0) break;
    }
    fitting.set(
      name,
      [...hits].sort((a, b) => a - b),
    );
  }
  return fitting;
}
