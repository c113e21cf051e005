import { expect, test } from "vitest";
import { type ReportData, reportHtml, reportJson } from "./report.ts";

const measure = {
  accuracy: 0.5,
  interval: [0.4, 0.6] as [number, number],
  balanced: 0.45,
  ece: 0.1,
  bins: [{ count: 12, confidence: 0.7, accuracy: 0.5 }],
};
const data: ReportData = {
  ...{ selora: "1.2.3", name: "<img src=x onerror=alert(1)>", when: "2030-01-01T00:00:00.000Z" },
  ...{ complete: false, steps: 7, seconds: 3.4, device: "WASM: one thread" },
  model: { name: "vit", family: "hf-vit", parameters: 5_000_000, fingerprint: null, licence: "mit" },
  recipe: { method: "selective", rank: 4 },
  settings: [{ label: "Rank", value: "4", usual: false }],
  data: [
    {
      ...{ role: "target", name: 'pets "and" more', fingerprint: "abc" },
      classes: [{ name: "</td><script>x</script>", train: 3, val: 1, test: 2, countsAs: null }],
    },
  ],
  adapter: {
    ...{ method: "selective", open: 1, parameters: 10 },
    gates: [
      {
        layer: 0,
        column: "attention",
        open: true,
        score: 0.2,
        sensitivity: 1,
        deltaNorm: 0.1,
        parameters: 10,
      },
      { layer: 0, column: "mlp", open: false, score: 0.05, sensitivity: 1, deltaNorm: 0.1, parameters: 10 },
    ],
  },
  sets: [
    {
      ...{ role: "target", name: "pets", judge: "linear", count: 20 },
      before: { ...measure, accuracy: 0.25 },
      after: measure,
      detection: null,
      perClass: [{ name: "cat", count: 10, before: 0.2, after: 0.5 }],
    },
    {
      ...{ role: "ood", name: "drawn pets", judge: "linear", count: 20 },
      ...{ before: measure, after: measure, perClass: [] },
      detection: { count: 20, confidence: [0.61, 0.72], energy: null },
    },
  ],
  confusion: {
    names: ["cat", "dog"],
    counts: [
      [8, 2],
      [0, 10],
    ],
  },
  curves: {
    loss: [
      [1, 2],
      [2, 1],
    ],
    sets: [
      {
        ...{ role: "target", name: "pets", on: "9 validation images", after: 0.5 },
        points: [
          [1, 0.3],
          [2, 0.5],
        ],
      },
    ],
  },
  path: [
    { strength: 0, sets: [{ role: "target", name: "pets", accuracy: 0.25 }] },
    { strength: 1, sets: [{ role: "target", name: "pets", accuracy: 0.5 }] },
  ],
  tradeOff: {
    sets: [{ role: "target", name: "pets", count: 10, on: "10 validation images", before: 0.25 }],
    points: [
      { open: 0, accuracies: [0.25] },
      { open: 1, accuracies: [0.5] },
    ],
    knee: 1,
  },
  notes: ["Do as the licence says."],
};

test("the page needs nothing beside it, and no text in it is taken for markup", () => {
  const html = reportHtml(data, [
    { source: "data:image/png;base64,AAAA", caption: "cat: before dog, after cat" },
    { source: "https://elsewhere/x.png", caption: "from elsewhere" },
  ]);
  expect(html).not.toMatch(/<script|<link|https?:|url\(|onerror=alert\(1\)>/);
  expect(html).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect(html).not.toContain("from elsewhere");
  expect(html.match(/<img /g)).toHaveLength(1);
  const opened = ["table", "figure", "svg", "tr", "td", "th", "main"];
  for (const tag of opened)
    expect(html.match(new RegExp(`<${tag}[ >]`, "g"))?.length, tag).toBe(
      html.match(new RegExp(`</${tag}>`, "g"))?.length,
    );
});

test("what a reader looks for stands in it", () => {
  const html = reportHtml(data);
  for (const words of ["+25.0", "40.0 to 60.0", "1 of 2 gates open", "stopped before the end", "Layer 1"])
    expect(html).toContain(words);
  for (const words of [
    "Do as the licence says.",
    "Between before and after",
    "Selora 1.2.3",
    "fingerprint abc",
  ])
    expect(html).toContain(words);
  for (const words of ["pets (9 validation images)", "pets (10 validation images)", "all held-out images"])
    expect(html).toContain(words);
  for (const words of ["1, knee", "12 images, 70.0 % sure, 50.0 % right", "0.610", "0.720"])
    expect(html).toContain(words);
  expect(html).not.toContain("Pictures whose answer changed");
  const bare = reportHtml({
    ...data,
    confusion: null,
    path: [],
    tradeOff: null,
    sets: [],
    curves: { loss: [], sets: [] },
  });
  expect(bare).not.toMatch(
    /What is taken for what|Between before|How many|as sure|strange|Curves|NaN|undefined|Infinity/,
  );
});

test("the JSON holds all of it", () => {
  expect(JSON.parse(reportJson(data))).toEqual({ report: 1, ...JSON.parse(JSON.stringify(data)) });
});

test("curves are lines in the colours of their sets, axes with a name and ends, and a diamond where the run came out", () => {
  const [figure] = /<figure><figcaption>Accuracy, % <span>.*?<\/figure>/s.exec(reportHtml(data)) ?? [];
  expect(figure?.replaceAll("><", ">\n<")).toMatchInlineSnapshot(`
    "<figure>
    <figcaption>Accuracy, % <span>
    <span style="color:light-dark(#0063a8,#5cb8f5)">■</span> pets (9 validation images)</span>
    </figcaption>
    <svg viewBox="0 0 640 200" width="640" role="img" aria-label="Accuracy, %">
    <path d="M44 160.0H630" stroke="var(--faint)"/>
    <text x="38" y="164.0" text-anchor="end">30</text>
    <text x="44.0" y="182" text-anchor="start">1</text>
    <path d="M44 84.0H630" stroke="var(--faint)"/>
    <text x="38" y="88.0" text-anchor="end">40</text>
    <path d="M44 8.0H630" stroke="var(--faint)"/>
    <text x="38" y="12.0" text-anchor="end">50</text>
    <text x="630.0" y="182" text-anchor="end">2</text>
    <text x="337" y="197" text-anchor="middle">step</text>
    <polyline fill="none" stroke="light-dark(#0063a8,#5cb8f5)" stroke-width="1.6" points="44.0,160.0 630.0,8.0"/>
    <path d="M630.0 2.0l6 6l-6 6l-6 -6z" fill="light-dark(#0063a8,#5cb8f5)" stroke="var(--ground)"/>
    </svg>
    </figure>"
  `);
});
