// A drawn figure as a file of its own: SVG with every colour in it, or PNG made of that.

/** What an SVG needs beside its attributes: what the page's styles have given it. */
const styles = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity"],
  ...["font-size", "font-family", "font-weight", "text-anchor"],
];
const HEAD = { margin: 12, line: 18 };

export interface FigureWords {
  title: string;
  /** Series by name, in the colours that they have. */
  legend: readonly { name: string; colour: string }[];
}

/**
 * A copy of a chart that needs nothing beside it: styles are written into it, and the words that stand around the chart
 * on the page stand above it.
 * @param style as the browser computes it
 */
export function svgFile(
  chart: SVGSVGElement,
  { title, legend }: FigureWords,
  style: (element: Element) => CSSStyleDeclaration = getComputedStyle,
): string {
  const { width, height } = sizeOf(chart);
  const copy = chart.cloneNode(true) as SVGSVGElement;
  const [from, to] = [
    [chart, ...chart.querySelectorAll("*")],
    [copy, ...copy.querySelectorAll("*")],
  ];
  from.forEach((element, i) => {
    const computed = style(element);
    const copied = to[i] as Element;
    for (const name of styles) {
      const value = computed.getPropertyValue(name);
      if (value) copied.setAttribute(name, value);
    }
    for (const name of ["class", "style", "tabindex", "role", "data-testid"]) copied.removeAttribute(name);
  });
  const rows = [title, ...legend.map(({ name }) => name)].length;
  const top = HEAD.margin + HEAD.line * rows;
  const page = style(chart.ownerDocument.body);
  const ink = page.color || "#000";
  const text = (x: number, row: number, words: string, more: Record<string, string> = {}) =>
    element(chart, "text", { x, y: HEAD.line * (row + 1), fill: ink, ...more }, words);
  const svg = element(chart, "svg", {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height: height + top,
    viewBox: `0 0 ${width} ${height + top}`,
    "font-family": page.fontFamily || "sans-serif",
    "font-size": 12,
  });
  svg.append(
    element(chart, "rect", { width: "100%", height: "100%", fill: page.backgroundColor || "#fff" }),
    text(HEAD.margin, 0, title, { "font-weight": "600" }),
  );
  legend.forEach(({ name, colour }, i) => {
    const y = HEAD.line * (i + 2) - 8;
    svg.append(
      element(chart, "rect", { x: HEAD.margin, y, width: 14, height: 4, fill: colour }),
      text(HEAD.margin + 20, i + 1, name),
    );
  });
  const place = element(chart, "g", { transform: `translate(0 ${top})` });
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  place.append(copy);
  svg.append(place);
  return new XMLSerializer().serializeToString(svg);
}

function sizeOf(chart: SVGSVGElement): { width: number; height: number } {
  const number = (name: string) => Number.parseFloat(chart.getAttribute(name) ?? "");
  return { width: number("width") || 600, height: number("height") || 200 };
}

function element(near: Element, name: string, attributes: Record<string, string | number>, words?: string) {
  const made = near.ownerDocument.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (words !== undefined) made.textContent = words;
  return made;
}

/** The picture of an SVG file, twice as fine as it stands on the page. */
export async function pngFile(svg: string): Promise<Blob> {
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * image.naturalWidth;
    canvas.height = 2 * image.naturalHeight;
    const context = canvas.getContext("2d") as CanvasRenderingContext2D;
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise<Blob>((resolve, reject) =>
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"),
    );
  } finally {
    URL.revokeObjectURL(address);
  }
}

export type CsvCell = string | number | boolean | null | undefined;

/** Rows as CSV (RFC 4180, CRLF); what is not known is an empty cell. */
export function csvFile(rows: readonly (readonly CsvCell[])[]): string {
  const field = (value: CsvCell) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
}
