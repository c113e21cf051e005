// A run's report: one HTML file that needs nothing beside it (no script, no font, no picture from elsewhere), and the
// same as JSON. Every text in it came from outside and is escaped; figures are SVG drawn here.

import { type ColouredRole, colourPairs, setPalette } from "../set_colours.ts";

export interface ReportGate {
  layer: number;
  column: string;
  open: boolean;
  score: number;
  sensitivity: number;
  deltaNorm: number;
  /** Adapter parameters that the gate switches. */
  parameters: number;
}

export interface ReportMeasure {
  accuracy: number;
  /** 95 % interval. */
  interval: [number, number];
  balanced: number;
  /** Expected calibration error. */
  ece: number;
  /** Images by how sure the answer was, in steps of equal width from 0 to 1. */
  bins: { count: number; confidence: number; accuracy: number }[];
}

/** How well certainty tells a set's images from the target's: AUROC before and after, 0.5 being a coin. */
export interface ReportDetection {
  count: number;
  confidence: [before: number, after: number];
  /** Null where there are no logits (k-NN). */
  energy: [before: number, after: number] | null;
}

export interface ReportSet {
  role: string;
  name: string;
  /** What answered. */
  judge: string;
  count: number;
  before: ReportMeasure;
  after: ReportMeasure;
  /** Null for the target itself. */
  detection: ReportDetection | null;
  perClass: { name: string; count: number; before: number; after: number }[];
}

export interface ReportData {
  selora: string;
  name: string;
  /** When the run ended, ISO 8601. */
  when: string;
  complete: boolean;
  steps: number;
  seconds: number;
  /** Training images that the linear probe was fitted on, and how many there were; absent where it was on all. */
  probed?: { images: number; of: number };
  device: string;
  model: {
    name: string;
    family: string;
    parameters: number;
    fingerprint: string | null;
    licence: string | null;
  };
  recipe: Record<string, string | number>;
  /** What the settings are called, and which differ from their default. */
  settings: { label: string; value: string; usual: boolean }[];
  data: {
    role: string;
    name: string;
    fingerprint: string | null;
    classes: { name: string; train: number; val: number; test: number; countsAs: string | null }[];
  }[];
  adapter: { method: string; open: number; gates: ReportGate[]; parameters: number };
  sets: ReportSet[];
  /** Of the target after the run; rows are the true classes. Null where there are too many classes to draw. */
  confusion: { names: string[]; counts: number[][] } | null;
  curves: {
    loss: [step: number, value: number][];
    /** `on`: the images that the points stand on, in words, where that is known; `after`: on all held-out images. */
    sets: {
      role: string;
      name: string;
      on: string | null;
      after: number | null;
      points: [step: number, accuracy: number][];
    }[];
  };
  /** Accuracies between before and after (WiSE-FT), where they were measured. */
  path: { strength: number; sets: { role: string; name: string; accuracy: number }[] }[];
  /** What each number of open blocks is worth; null where it was not measured. */
  tradeOff: {
    /** `on`: the images, in words. */
    sets: { role: string; name: string; count: number; on: string; before: number }[];
    points: { open: number; accuracies: number[] }[];
    /** Place of the fewest blocks that are as good as the best. */
    knee: number | null;
  } | null;
  /** Licences and remarks, one sentence each. */
  notes: string[];
}

/** A small picture that the person chose to put in, as a data URL. */
export interface ReportPicture {
  source: string;
  caption: string;
}

/** The report as JSON. */
export function reportJson(data: ReportData): string {
  return `${JSON.stringify({ report: 1, ...data }, null, 2)}\n`;
}

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const text = (value: string | number) => String(value).replace(/[&<>"']/g, (sign) => escapes[sign] as string);
const percent = (share: number) => `${(100 * share).toFixed(1)}`;
/** The change between two shares as they are shown, so that a row adds up. */
function signed(from: number, to: number): string {
  const points = Number(percent(to)) - Number(percent(from));
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(1)}`;
}

function table(heads: string[], rows: string[][], numbersFrom: number): string {
  const cell = (tag: string) => (value: string, i: number) =>
    `<${tag}${i >= numbersFrom ? ' class="n"' : ""}>${text(value)}</${tag}>`;
  return `<div class="wide"><table><thead><tr>${heads.map(cell("th")).join("")}</tr></thead><tbody>${rows
    .map((row) => `<tr>${row.map(cell("td")).join("")}</tr>`)
    .join("")}</tbody></table></div>`;
}

/**
 * The report as one HTML file.
 * @param pictures only what the person chose; pictures may not be theirs to give away
 */
export function reportHtml(data: ReportData, pictures: readonly ReportPicture[] = []): string {
  const { model, adapter } = data;
  const facts: [string, string][] = [
    ["Model", `${model.name} (${model.family}, ${(model.parameters / 1e6).toFixed(2)} M parameters)`],
    ["Fingerprint", model.fingerprint ?? "not known"],
    ["Method", `${adapter.method}, ${adapter.open} of ${adapter.gates.length} gates open`],
    ["Adapter", `${adapter.parameters.toLocaleString("en")} parameters behind open gates`],
    [
      "Steps",
      `${data.steps}${data.complete ? "" : ", stopped before the end"}, ${Math.round(data.seconds)} s`,
    ],
    ...(data.probed
      ? [
          ["Linear probe", `fitted on ${data.probed.images} of ${data.probed.of} training images`] as [
            string,
            string,
          ],
        ]
      : []),
    ["Computed on", data.device],
    ["Ended", data.when],
    ["Made with", `Selora ${data.selora}`],
  ];
  const sections = [
    `<h1>${text(data.name)}</h1>`,
    `<dl>${facts.map(([term, value]) => `<dt>${text(term)}</dt><dd>${text(value)}</dd>`).join("")}</dl>`,
    "<h2>Results</h2>",
    "<p>Accuracy in per cent on held-out images, with 95 % Wilson intervals; balanced accuracy counts every class alike; ECE is the expected calibration error.</p>",
    table(
      ["Set", "Role", "Answered by", "Images", "Before", "After", "Change", "Interval", "Balanced", "ECE"],
      data.sets.map((set) => [
        ...[set.name, set.role, set.judge, String(set.count), percent(set.before.accuracy)],
        ...[percent(set.after.accuracy), signed(set.before.accuracy, set.after.accuracy)],
        `${percent(set.after.interval[0])} to ${percent(set.after.interval[1])}`,
        ...[percent(set.after.balanced), percent(set.after.ece)],
      ]),
      3,
    ),
    data.path.length > 1 ? "<h2>Between before and after</h2>" : "",
    data.path.length > 1 ? pathTable(data) : "",
    "<h2>Which gates are open</h2>",
    heatmap(adapter.gates),
    data.tradeOff ? `<h2>How many blocks it takes</h2>${tradeOff(data.tradeOff)}` : "",
    data.curves.loss.length > 1 || data.curves.sets.length > 0 ? "<h2>Curves</h2>" : "",
    curves(data),
    reliability(data.sets.find(({ role }) => role === "target")),
    detection(data.sets),
    data.confusion ? `<h2>What is taken for what</h2>${confusion(data.confusion)}` : "",
    ...data.sets.map((set) => classTable(set)),
    pictures.length > 0 ? `<h2>Pictures whose answer changed</h2>${gallery(pictures)}` : "",
    "<h2>Recipe</h2>",
    table(
      ["Setting", "Value", ""],
      data.settings.map(({ label, value, usual }) => [label, value, usual ? "" : "changed"]),
      9,
    ),
    "<h2>Data</h2>",
    ...data.data.map(
      (set) =>
        `<h3>${text(set.name)} <small>${text(set.role)}, fingerprint ${text(set.fingerprint ?? "not known")}</small></h3>${table(
          ["Class", "Counts as", "Train", "Validate", "Test"],
          set.classes.map(({ name, train, val, test, countsAs }) => [
            ...[name, countsAs ?? "left out", String(train), String(val), String(test)],
          ]),
          2,
        )}`,
    ),
    "<h2>Licences and remarks</h2>",
    `<ul>${data.notes.map((note) => `<li>${text(note)}</li>`).join("")}</ul>`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${text(data.name)}: report</title><style>${style}</style></head><body><main>
${sections.filter(Boolean).join("\n")}
</main></body></html>
`;
}

const style = `:root{color-scheme:light dark;--ink:light-dark(#1b2029,#dde1e9);--dim:light-dark(#5b6472,#98a1b2);--line:light-dark(#d9dee6,#2b313b);--ground:light-dark(#fff,#191d23);--faint:light-dark(#eceff3,#2b313b);--blue:light-dark(#3b5ac4,#92a9ef);--wrong:light-dark(#c04a00,#ff9450)}
body{margin:0;background:var(--ground);color:var(--ink);font:14px/1.5 system-ui,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:960px;margin:0 auto;padding:32px 20px 64px}h1{font-size:24px;margin:0 0 16px}h2{font-size:17px;margin:36px 0 10px}h3{font-size:14px;margin:20px 0 6px}
small,.dim,dt,th{color:var(--dim);font-weight:400}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 20px;margin:0}dd{margin:0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{padding:4px 10px 4px 0;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}td{max-width:420px;overflow:hidden;text-overflow:ellipsis}.n{text-align:right}
svg{max-width:100%;height:auto;display:block}svg text{fill:var(--dim);font:11px system-ui,sans-serif}figure{margin:0}figcaption{color:var(--dim);font-size:12px}
.pair{display:flex;flex-wrap:wrap;gap:24px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(120px,1fr));gap:12px}.gallery img{width:100%;border-radius:6px}
@media print{h2{break-after:avoid}figure,table{break-inside:avoid}}`;

function pathTable({ path }: ReportData): string {
  const sets = path[0]?.sets ?? [];
  return `<p>The change at a share of its strength (WiSE-FT), on a part of each set.</p>${table(
    ["Strength", ...sets.map(({ name }) => name)],
    path.map(({ strength, sets: at }) => [
      `${100 * strength} %`,
      ...at.map(({ accuracy }) => percent(accuracy)),
    ]),
    1,
  )}`;
}

function classTable({ name, role, perClass }: ReportSet): string {
  const rows = perClass.map((one) => [
    ...[one.name, String(one.count), percent(one.before), percent(one.after), signed(one.before, one.after)],
  ]);
  return `<h3>Class by class: ${text(name)} <small>${text(role)}</small></h3>${table(["Class", "Images", "Before", "After", "Change"], rows, 1)}`;
}

/** Open gates filled, in a shade by their score; closed ones faint. */
function heatmap(gates: readonly ReportGate[]): string {
  const columns = [...new Set(gates.map(({ column }) => column))];
  const rows = [...new Set(gates.map(({ layer }) => layer))].sort((a, b) => a - b);
  const [wide, high, left, top] = [88, 18, 64, 22];
  const max = Math.max(1e-9, ...gates.filter(({ open }) => open).map(({ score }) => score));
  const cells = gates.map(({ layer, column, open, score }) => {
    const x = left + columns.indexOf(column) * (wide + 3);
    const y = top + rows.indexOf(layer) * (high + 3);
    const shade = (0.35 + 0.65 * Math.max(0, score / max)).toFixed(2);
    const fill = open ? `fill="var(--blue)" fill-opacity="${shade}"` : 'fill="var(--faint)"';
    return `<rect x="${x}" y="${y}" width="${wide}" height="${high}" rx="3" ${fill}><title>Layer ${layer + 1}, ${text(column)}: ${open ? "open" : "closed"}, score ${score.toFixed(3)}</title></rect>`;
  });
  const heads = columns.map((name, i) => `<text x="${left + i * (wide + 3)}" y="14">${text(name)}</text>`);
  const layers = rows.map(
    (layer, i) => `<text x="0" y="${top + i * (high + 3) + 13}">Layer ${layer + 1}</text>`,
  );
  const size = [left + columns.length * (wide + 3), top + rows.length * (high + 3)];
  const open = gates.filter((gate) => gate.open).map(({ layer, column }) => `layer ${layer + 1} ${column}`);
  return `<figure><svg viewBox="0 0 ${size.join(" ")}" width="${size[0]}" role="img" aria-label="Open: ${text(open.join(", ") || "none")}">${[...heads, ...layers, ...cells].join("")}</svg><figcaption>Filled: open, the darker the higher its score. Faint: closed.</figcaption></figure>`;
}

function tradeOff({ sets, points, knee }: NonNullable<ReportData["tradeOff"]>): string {
  const heads = ["Open", ...sets.map(({ name, on }) => `${name} (${on})`)];
  const rows = points.map(({ open, accuracies }, i) => [
    i === knee ? `${open}, knee` : String(open),
    ...accuracies.map(percent),
  ]);
  const lines = sets.map(({ name, role }, i) => ({
    ...{ name, role },
    points: points.map(({ open, accuracies }): [number, number] => [open, 100 * (accuracies[i] ?? 0)]),
  }));
  const said =
    "<p>Blocks closed from the lowest score upwards. The target is measured on its validation images; the knee is the fewest blocks within one standard error of its best.</p>";
  return `${said}${chart("Accuracy, %, by open blocks", lines, "open blocks")}${table(heads, [["before", ...sets.map(({ before }) => percent(before))], ...rows], 1)}`;
}

/** Share of right answers against how sure they were, before and after; a point's size tells how many images. */
function reliability(set: ReportSet | undefined): string {
  if (!set || set.count === 0) return "";
  const [size, left, bottom] = [200, 34, 30];
  const x = (share: number) => (left + share * (size - left - 6)).toFixed(1);
  const y = (share: number) => (6 + (1 - share) * (size - bottom - 6)).toFixed(1);
  const plot = (title: string, { bins, ece }: ReportMeasure) => {
    const points = bins
      .filter(({ count }) => count > 0)
      .map(
        ({ count, confidence, accuracy }) =>
          `<circle cx="${x(confidence)}" cy="${y(accuracy)}" r="${(2 + 6 * Math.sqrt(count / set.count)).toFixed(1)}" fill="var(--blue)" fill-opacity="0.7"><title>${count} images, ${percent(confidence)} % sure, ${percent(accuracy)} % right</title></circle>`,
      );
    const axes = `<path d="M${x(0)} ${y(1)}V${y(0)}H${x(1)}" fill="none" stroke="var(--line)"/><path d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}" stroke="var(--dim)" stroke-dasharray="4 4"/>`;
    const words = `<text x="0" y="14">100 %</text><text x="${x(0)}" y="${size - 6}">sure, 0 to 100 %</text>`;
    return `<figure><figcaption>${title}: ECE ${percent(ece)}</figcaption><svg viewBox="0 0 ${size} ${size}" width="${size}" role="img" aria-label="${title}: how often an answer is right, by how sure it is">${axes}${words}${points.join("")}</svg></figure>`;
  };
  return `<h2>Is it as sure as it is right?</h2><p>${text(set.name)}: share of right answers by certainty; on the dashed line the two agree.</p><div class="pair">${plot("Before", set.before)}${plot("After", set.after)}</div>`;
}

function detection(sets: readonly ReportSet[]): string {
  const rows = sets.flatMap(({ name, detection: found }) => {
    if (!found) return [];
    const areas = [...found.confidence, ...(found.energy ?? [])];
    return [[name, String(found.count), ...areas.map((area) => area.toFixed(3))]];
  });
  if (rows.length === 0) return "";
  const heads = ["Set", "Images", "Softmax, before", "After"];
  if (sets.some((set) => set.detection?.energy)) heads.push("Energy, before", "After");
  return `<h2>Does it notice what is strange?</h2><p>AUROC of telling a set's images from the target's by the largest softmax probability and by the energy of the logits: 0.5 is a coin, 1 is always right.</p>${table(heads, rows, 1)}`;
}

interface ChartLine {
  name: string;
  /** Of an image set: it has the colour that it has in the studio. */
  role?: string;
  points: [along: number, value: number][];
  /** A point of its own, drawn as a diamond. */
  mark?: [number, number] | null;
}

function chart(title: string, lines: readonly ChartLine[], along = "step"): string {
  const all = lines.flatMap(({ points, mark }) => [...points, ...(mark ? [mark] : [])]);
  if (all.length < 2) return "";
  const [width, height, left, bottom] = [640, 200, 44, 34];
  const xs = all.map(([step]) => step);
  const ys = all.map(([, value]) => value);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const x = (step: number) => left + ((step - x0) / (x1 - x0 || 1)) * (width - left - 10);
  const y = (value: number) => 8 + ((y1 - value) / (y1 - y0 || 1)) * (height - bottom - 14);
  const colours = lineColours(lines);
  const at = ([step, value]: [number, number]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`;
  const drawn = lines.map(
    ({ points }, i) =>
      `<polyline fill="none" stroke="${colours[i]}" stroke-width="1.6" points="${points.map(at).join(" ")}"/>`,
  );
  const marks = lines.map(({ mark }, i) =>
    mark
      ? `<path d="M${x(mark[0]).toFixed(1)} ${(y(mark[1]) - 6).toFixed(1)}l6 6l-6 6l-6 -6z" fill="${colours[i]}" stroke="var(--ground)"/>`
      : "",
  );
  const number = (value: number) => String(Number(value.toPrecision(3)));
  const ticks = [0, 0.5, 1].map((share) => {
    const value = y0 + share * (y1 - y0);
    // Steps and blocks are whole: where none lies in the middle there is no number.
    const step = Math.round(x0 + share * (x1 - x0));
    const named = share !== 0.5 || (step > x0 && step < x1);
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    return (
      `<path d="M${left} ${y(value).toFixed(1)}H${width - 10}" stroke="var(--faint)"/>` +
      `<text x="${left - 6}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${number(value)}</text>` +
      (named
        ? `<text x="${x(step).toFixed(1)}" y="${height - 18}" text-anchor="${anchor}">${step}</text>`
        : "")
    );
  });
  const axis = `<text x="${(left + width - 10) / 2}" y="${height - 3}" text-anchor="middle">${text(along)}</text>`;
  const legend = lines.map(
    ({ name }, i) => `<span><span style="color:${colours[i]}">■</span> ${text(name)}</span>`,
  );
  return `<figure><figcaption>${text(title)} ${legend.join(" ")}</figcaption><svg viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-label="${text(title)}">${ticks.join("")}${axis}${drawn.join("")}${marks.join("")}</svg></figure>`;
}

/** Colours of lines: those that their sets have everywhere, light or dark as the page is. */
function lineColours(lines: readonly ChartLine[]): string[] {
  const roles = lines.map(({ role }) => role);
  const known = roles.filter((role): role is ColouredRole => role !== undefined && role in setPalette);
  if (known.length < lines.length)
    return lines.map((_, i) => neutralColours[i % neutralColours.length] as string);
  return colourPairs(known).map(({ light, dark }) => `light-dark(${light},${dark})`);
}

const neutralColours = ["var(--ink)", "var(--blue)"];

function curves({ curves: { loss, sets } }: ReportData): string {
  const last = Math.max(
    0,
    ...loss.map(([step]) => step),
    ...sets.flatMap(({ points }) => points.map(([step]) => step)),
  );
  const accuracies = sets.map(({ role, name, on, after, points }) => ({
    name: on ? `${name} (${on})` : name,
    role,
    points: points.map(([step, share]): [number, number] => [step, 100 * share]),
    mark: after === null ? null : ([last, 100 * after] as [number, number]),
  }));
  const said =
    "<p>◆ is what came out in the end, on all held-out images; the lines stand on those that are named.</p>";
  return `${chart("Loss", [{ name: "on training images", points: loss }])}${chart("Accuracy, %", accuracies)}${sets.some(({ after }) => after !== null) ? said : ""}`;
}

function confusion({ names, counts }: NonNullable<ReportData["confusion"]>): string {
  const max = Math.max(1, ...counts.flat());
  const rows = counts.map(
    (row, i) =>
      `<tr><th>${text(names[i] ?? "")}</th>${row
        .map((count, j) => {
          const share = count && Math.round(12 + (48 * count) / max);
          const hue = i === j ? "--blue" : "--wrong";
          return `<td class="n" style="background:color-mix(in srgb,var(${hue}) ${share}%,transparent)">${count || ""}</td>`;
        })
        .join("")}</tr>`,
  );
  return `<p>Rows are the true classes, columns the answers, of the target's held-out images; right ones are blue, wrong ones orange.</p><div class="wide"><table><thead><tr><th></th>${names.map((name) => `<th class="n">${text(name)}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function gallery(pictures: readonly ReportPicture[]): string {
  const figures = pictures
    // Nothing but an image that lies in the file itself.
    .filter(({ source }) => /^data:image\/(png|jpeg|webp);base64,[A-Za-z0-9+/=]*$/.test(source))
    .map(
      ({ source, caption }) =>
        `<figure><img src="${source}" alt="${text(caption)}"><figcaption>${text(caption)}</figcaption></figure>`,
    );
  return `<div class="gallery">${figures.join("")}</div>`;
}
