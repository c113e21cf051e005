// Renders the data of the built-in demo: the same Unicode emoji as different artists drew them, 64x64 PNG on
// white, one zip (stored, not compressed) for every set. Nothing of the artists' work is checked in: the icon sets
// are development dependencies, and this script turns them into public/demo/data/ when the studio is built.
//
//   node demo/render.mjs              what the studio opens with     -> public/demo/data/
//   node demo/render.mjs --pretrain   and what the model was pre-trained on -> .cache/demo-pretrain/
//
// The split is by emoji, not by drawing: an emoji is in train, val or test in every set at once, so no drawing of a
// held-out emoji, by any artist, was seen in pre-training or in adaptation. Within a class the emoji are ordered by
// FNV-1a of "selora-demo/1/" + codepoints; the first 60 % are train, the next 15 % val, the rest test.
// Skin-tone variants are left out. Same packages in, same bytes out; output of the same stamp is kept.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { crc32 } from "node:zlib";
import { Resvg } from "@resvg/resvg-js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const PAGE_DIR = join(ROOT, "public", "demo", "data");
const CREDITS = join(ROOT, "public", "demo", "credits.json");
const PRETRAIN_DIR = join(ROOT, ".cache", "demo-pretrain");

const SIZE = 64;
const SPLIT_SALT = "selora-demo/1/";
const TRAIN_SHARE = 0.6;
const VAL_SHARE = 0.15;
/** Images of a class in the target's training split: few, as a person would bring. */
const TARGET_TRAIN_PER_CLASS = 32;
const COLOUR_SETS = ["noto", "twemoji", "fluent-emoji-flat", "fluent-emoji", "emojione"];
const TARGET_SET = "fluent-emoji-high-contrast";
const OOD_SETS = ["emojione-monotone", "openmoji-outline", "openmoji"];
/** A set made of another by leaving its colours out. */
const OUTLINES_OF = { "openmoji-outline": "openmoji" };

/**
 * What the studio suggests with the demo, where it differs from the defaults: a regime in which plain LoRA visibly
 * forgets, so that there is something to see (figures in docs/results.md).
 */
const RECIPE = { learningRate: 0.005, epochs: 16 };

/** Noto's drawing of this one makes resvg 2.6 abort the whole process. It is of no class. */
const UNRENDERABLE = new Set(["package"]);

/** Unlisted emoji that pre-training must not see either: they repeat the drawing of a listed one. */
const NEVER_AUXILIARY =
  /skin-tone|^(wo)?m[ae]n-|^person-|^family|^couple|^kiss-|people|^pregnant|-santa|claus/;

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const packageDir = (set) => join(ROOT, "node_modules", "@iconify-json", set);

/** Codepoints without variation selectors, which sets write or leave out as they please. */
const bareCode = (code) => code.replace(/-fe0f/g, "");

/** FNV-1a, 32 bits, of an ASCII string. */
function fnv1a(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash;
}

/** The drawing without its colours: whatever is filled or stroked in anything but black becomes white. */
function outline(body) {
  return body.replace(
    /\b(fill|stroke|stop-color)="(?!none"|#000"|#000000"|black"|currentColor")[^"]*"/g,
    '$1="#fff"',
  );
}

/**
 * One icon set: `find({name, code})` gives the set's own icon name of an emoji, or undefined. By codepoint where the
 * package has a table of them; else by CLDR name (emojione*, fluent-emoji). `redraw` changes a drawing before it is
 * rendered.
 */
function loadSet(set) {
  const dir = packageDir(OUTLINES_OF[set] ?? set);
  const icons = readJson(join(dir, "icons.json"));
  const chars = existsSync(join(dir, "chars.json")) ? readJson(join(dir, "chars.json")) : {};
  const byCode = new Map(Object.entries(chars).map(([code, name]) => [bareCode(code), name]));
  const names = [...Object.keys(icons.icons), ...Object.keys(icons.aliases ?? {})];
  const known = new Set(names);
  return {
    icons,
    redraw: set in OUTLINES_OF ? outline : (body) => body,
    find: ({ name, code }) => (byCode.size > 0 ? byCode.get(code) : known.has(name) ? name : undefined),
  };
}

/** Follows an alias to its icon. None of the emoji used here is a turned or mirrored alias; one would be refused. */
function resolveIcon(icons, name) {
  let entry = icons.icons[name];
  for (let next = name, hops = 0; entry === undefined; hops++) {
    const alias = icons.aliases?.[next];
    if (alias === undefined || hops > 8 || alias.rotate || alias.hFlip || alias.vFlip) return undefined;
    next = alias.parent;
    entry = icons.icons[next];
  }
  return entry;
}

/** @returns {Buffer} PNG, SIZE x SIZE, the icon on white (a monochrome icon in black). */
function renderIcon({ icons, redraw }, entry) {
  const left = entry.left ?? icons.left ?? 0;
  const top = entry.top ?? icons.top ?? 0;
  const width = entry.width ?? icons.width ?? 16;
  const height = entry.height ?? icons.height ?? 16;
  const body = redraw(entry.body.replaceAll("currentColor", "#000"));
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${SIZE}" ` +
    `height="${SIZE}" viewBox="${left} ${top} ${width} ${height}">${body}</svg>`;
  return new Resvg(svg, { background: "#fff", font: { loadSystemFonts: false } }).render().asPng();
}

/** A zip whose members are stored as they are. PNGs do not shrink, and a page reads such members by offset. */
function storedZip(members) {
  const DOS_EPOCH_DATE = 0x21; // 1980-01-01: no clock in the file, so equal input gives equal bytes
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const [path, data] of members) {
    const name = Buffer.from(path, "utf8");
    const shared = Buffer.alloc(26); // the fields local and central headers have in common, from "version needed"
    shared.writeUInt16LE(10, 0);
    shared.writeUInt16LE(0x0800, 2); // names are UTF-8
    shared.writeUInt16LE(DOS_EPOCH_DATE, 8);
    shared.writeUInt32LE(crc32(data), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(data.length, 18);
    shared.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from("PK\x03\x04", "latin1"), shared, name, data);
    const tail = Buffer.alloc(14); // no comment, first disk, no attributes, then the local header's offset
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x0a\x00", "latin1"), shared, tail, name);
    offset += 4 + shared.length + name.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

/** Every emoji the demo uses: `{name, code, class, split}`, in the order of its class's hash. */
function listEmoji() {
  const classes = readJson(join(ROOT, "demo", "classes.json"));
  const codeOf = new Map();
  for (const [code, name] of Object.entries(readJson(join(packageDir("noto"), "chars.json")))) {
    if (!codeOf.has(name)) codeOf.set(name, bareCode(code));
  }
  const emoji = [];
  for (const [label, names] of Object.entries(classes)) {
    const members = names.map((name) => {
      const code = codeOf.get(name);
      if (code === undefined)
        throw new Error(`demo/classes.json: noto has no emoji called "${name}" (${label})`);
      return { name, code, class: label, hash: fnv1a(SPLIT_SALT + code) };
    });
    members.sort((a, b) => a.hash - b.hash || (a.code < b.code ? -1 : 1));
    const train = Math.round(members.length * TRAIN_SHARE);
    const val = Math.round(members.length * VAL_SHARE);
    members.forEach((one, i) => {
      emoji.push({ ...one, split: i < train ? "train" : i < train + val ? "val" : "test" });
    });
  }
  return { emoji, classes: Object.keys(classes), codeOf };
}

/** Emoji of no class, for the auxiliary task of pre-training (which emoji is this?). */
function listAuxiliary(listed, codeOf) {
  const categories = readJson(join(packageDir("noto"), "metadata.json")).categories;
  const used = new Set(listed.map((one) => one.code));
  const auxiliary = [];
  for (const [category, names] of Object.entries(categories)) {
    if (category === "People & Body" || category === "Flags") continue;
    for (const name of names) {
      const code = codeOf.get(name);
      if (code === undefined || used.has(code) || UNRENDERABLE.has(name) || NEVER_AUXILIARY.test(name))
        continue;
      used.add(code);
      auxiliary.push({ name, code });
    }
  }
  return auxiliary;
}

/** `[path, png]` of each emoji that `set` draws; `pathOf` names the member. */
function drawAll(set, emoji, pathOf) {
  const members = [];
  for (const one of emoji) {
    const name = set.find(one);
    const entry = name === undefined ? undefined : resolveIcon(set.icons, name);
    if (entry !== undefined) members.push([pathOf(one), renderIcon(set, entry)]);
  }
  return members;
}

/** Each drawing once: an artist may draw two emoji alike, and the later one, if held out, would have been trained on. */
function withoutRepeats(members) {
  const seen = new Set();
  return members.filter(([, png]) => {
    const digest = createHash("sha256").update(png).digest("hex");
    if (seen.has(digest)) return false;
    seen.add(digest);
    return true;
  });
}

/** How many images of each class: `{train: {animal: 32, ...}, ...}`, or `{animal: 31, ...}` for a set of one split. */
function countMembers(members) {
  const counts = {};
  for (const [path] of members) {
    const folders = path.split("/").slice(0, -1);
    const last = folders.pop();
    let into = counts;
    for (const folder of folders) {
      into[folder] ??= {};
      into = into[folder];
    }
    into[last] = (into[last] ?? 0) + 1;
  }
  return counts;
}

/** Changes when the script, the class lists or any package that draws does. */
function stamp() {
  const hash = createHash("sha256");
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
  hash.update(readFileSync(join(ROOT, "demo", "classes.json")));
  hash.update(readFileSync(CREDITS));
  for (const name of [
    "@resvg/resvg-js",
    ...[...COLOUR_SETS, TARGET_SET, ...OOD_SETS].map((set) => `@iconify-json/${OUTLINES_OF[set] ?? set}`),
  ]) {
    hash.update(`${name} ${readJson(join(ROOT, "node_modules", name, "package.json")).version}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

function isCurrent(dir, version) {
  try {
    const index = readJson(join(dir, "index.json"));
    return index.version === version && index.files.every((file) => existsSync(join(dir, file)));
  } catch {
    return false;
  }
}

function emptyDir(dir) {
  mkdirSync(dir, { recursive: true });
  for (const file of readdirSync(dir)) rmSync(join(dir, file), { recursive: true });
}

function writeZip(dir, file, members) {
  const bytes = storedZip(members);
  writeFileSync(join(dir, file), bytes);
  return {
    file,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
    images: members.length,
    counts: countMembers(members),
  };
}

function renderPage(version) {
  const { emoji, classes } = listEmoji();
  const credits = new Map(readJson(CREDITS).map((credit) => [credit.set, credit]));
  const captionOf = (name) => ({ name, title: credits.get(name).title, style: credits.get(name).style });
  const test = emoji.filter((one) => one.split === "test");
  emptyDir(PAGE_DIR);

  const target = loadSet(TARGET_SET);
  const taken = new Map();
  const inTarget = emoji.filter((one) => {
    if (one.split !== "train") return true;
    if (target.find(one) === undefined) return false;
    const before = taken.get(one.class) ?? 0;
    taken.set(one.class, before + 1);
    return before < TARGET_TRAIN_PER_CLASS;
  });
  const targetZip = writeZip(
    PAGE_DIR,
    `target-${TARGET_SET}.zip`,
    withoutRepeats(drawAll(target, inTarget, (one) => `${one.split}/${one.class}/${one.name}.png`)),
  );

  const ood = OOD_SETS.map((name) => ({
    ...captionOf(name),
    ...writeZip(
      PAGE_DIR,
      `ood-${name}.zip`,
      drawAll(loadSet(name), test, (one) => `${one.class}/${one.name}.png`),
    ),
  }));

  const known = COLOUR_SETS.flatMap((name) =>
    drawAll(loadSet(name), test, (one) => `${one.class}/${one.name}--${name}.png`),
  );
  const retention = {
    name: "colour-emoji",
    title: "Colour emoji the model grew up with",
    style: "five colour sets, held-out emoji",
    sets: COLOUR_SETS,
    ...writeZip(PAGE_DIR, "retention-colour-emoji.zip", known),
  };

  const index = {
    version,
    imageSize: SIZE,
    classes,
    target: { ...captionOf(TARGET_SET), ...targetZip },
    ood,
    retention: [retention],
    recipe: RECIPE,
    files: [targetZip.file, ...ood.map((set) => set.file), retention.file],
  };
  // The index is written last: a directory without it is an unfinished one, and is rendered again.
  writeFileSync(join(PAGE_DIR, "index.json"), `${JSON.stringify(index, null, 2)}\n`);
  return index;
}

function renderPretrain(version) {
  const { emoji, classes, codeOf } = listEmoji();
  const auxiliary = listAuxiliary(emoji, codeOf);
  emptyDir(PRETRAIN_DIR);
  const zips = COLOUR_SETS.map((name) => {
    const set = loadSet(name);
    const members = [
      ...drawAll(set, emoji, (one) => `${one.split}/${one.class}/${one.name}.png`),
      ...drawAll(set, auxiliary, (one) => `auxiliary/none/${one.name}.png`),
    ];
    return { name, ...writeZip(PRETRAIN_DIR, `${name}.zip`, members) };
  });
  const index = { version, imageSize: SIZE, classes, sets: zips, files: zips.map((zip) => zip.file) };
  writeFileSync(join(PRETRAIN_DIR, "index.json"), `${JSON.stringify(index, null, 2)}\n`);
  return index;
}

/**
 * Brings public/demo/data/ (and, for pre-training, .cache/demo-pretrain/) up to date.
 * @param {{pretrain?: boolean}} options
 * @returns {{dir: string, rendered: boolean}[]} what was looked at, and whether it had to be rendered
 */
export function renderDemo({ pretrain = false } = {}) {
  const version = stamp();
  const jobs = [[PAGE_DIR, renderPage], ...(pretrain ? [[PRETRAIN_DIR, renderPretrain]] : [])];
  return jobs.map(([dir, render]) => {
    if (isCurrent(dir, version)) return { dir, rendered: false };
    render(version);
    return { dir, rendered: true };
  });
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const started = performance.now();
  for (const { dir, rendered } of renderDemo({ pretrain: process.argv.includes("--pretrain") })) {
    console.log(`${rendered ? "rendered" : "up to date"}: ${dir}`);
  }
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`);
}
