// Tables of text: comma-, semicolon- and tab-separated values (RFC 4180, and as spreadsheets write them), and JSON Lines.

/** Rows of a table; cells are trimmed. Empty lines are no rows. */
export function readDelimited(text: string): string[][] {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  const separator = separatorOf(body.slice(0, body.search(/[\r\n]|$/)));
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  const endRow = () => {
    if (row.some((cell) => cell !== "")) rows.push(row);
    row = [];
  };
  while (at < body.length) {
    let cell: string;
    if (body[at] === '"') {
      const end = closingQuote(body, at + 1);
      cell = body.slice(at + 1, end).replaceAll('""', '"');
      at = nextStop(body, Math.min(end + 1, body.length), separator);
    } else {
      const end = nextStop(body, at, separator);
      cell = body.slice(at, end);
      at = end;
    }
    row.push(cell.trim());
    if (body[at] === separator) {
      at++;
      if (at === body.length) row.push("");
      continue;
    }
    endRow();
    at += body[at] === "\r" && body[at + 1] === "\n" ? 2 : 1;
  }
  endRow();
  return rows;
}

/** The separator that the first line holds most of. */
function separatorOf(line: string): string {
  const counts = ["\t", ";", ","].map((one) => ({ one, count: line.split(one).length }));
  return counts.reduce((best, next) => (next.count >= best.count ? next : best)).one;
}

/** Place of the quote that ends a cell, doubled ones passed by; the end where none does. */
function closingQuote(text: string, from: number): number {
  for (let at = from; ; at += 2) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    if (text[at + 1] !== '"') return at;
  }
}

/** Place of the next separator or end of line. */
function nextStop(text: string, from: number, separator: string): number {
  let at = from;
  while (at < text.length && text[at] !== separator && text[at] !== "\n" && text[at] !== "\r") at++;
  return at;
}

/** JSON Lines of flat objects as rows under a header; null when it is none. */
export function readJsonLines(text: string): string[][] | null {
  const objects: Record<string, unknown>[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
      objects.push(value as Record<string, unknown>);
    } catch {
      return null;
    }
  }
  const names = new Set<string>();
  for (const one of objects) for (const name of Object.keys(one)) names.add(name);
  const cell = (value: unknown) =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? String(value) : "";
  return [[...names], ...objects.map((one) => [...names].map((name) => cell(one[name])))];
}
