// Holds a file's names and shapes against the families' tables. What the shapes say binds the tables' symbols; what
// contradicts them, is missing or is a stranger is said by name.
import type { ModelConfig } from "./config.ts";
import { isWeightDtype, readable } from "./dtypes.ts";
import type { FamilyTable, TensorEntry } from "./families/table.ts";
import { quoted } from "./json.ts";
import type { PositionGrid } from "./positions.ts";
import type { Architecture, Piece, Role, TensorHead, TensorRow } from "./types.ts";

// A file may number its layers up to anything; no ViT comes near.
const MAX_LAYERS = 1000;
const MAX_CLASSES = 100_000;

/** Remark on a tensor that is no part of the network. */
export const NOT_USED = "Not used, and left out of an export.";

/** What a file's names and shapes say. With `problems`, it is not a network that can run. */
export interface Match {
  table: FamilyTable;
  prefix: string;
  /** The parts of an Architecture that shapes tell; with problems these may be wrong. */
  shapes: Pick<
    Architecture,
    | "patchSize"
    | "hiddenSize"
    | "layers"
    | "mlpSize"
    | "qkvBias"
    | "prefixTokens"
    | "registers"
    | "layerScale"
    | "gatedMlp"
    | "preNorm"
    | "projectionSize"
    | "attentionPool"
  >;
  /** Rows of the classifier, or null where there is none. */
  classes: number | null;
  /** The positions that the file holds; null where the family adds none. */
  positions: PositionGrid | null;
  /** Features of the table that the file has. */
  features: ReadonlySet<string>;
  /** By tensor name. */
  uses: Map<string, Piece[]>;
  /** Shape of every role, in the house. */
  roles: Map<Role, number[]>;
  /** What makes it unusable, by tensor name, those that are missing included. */
  problems: Map<string, string>;
  /** Rows for tensors that should be there. */
  missing: TensorRow[];
  /** Contradictions that concern no single tensor. */
  contradictions: string[];
  /** What the person should know but need not act on, by tensor name. */
  remarks: Map<string, string>;
  /** Names of tensors that are no part of the network, and that its family does not know either. */
  unused: ReadonlySet<string>;
}

/** Holds tensors, none of them under a wrapper's prefix, against one family whose backbone stands under `prefix`. */
export function matchTable(
  table: FamilyTable,
  prefix: string,
  tensors: readonly TensorHead[],
  config: ModelConfig | null,
): Match {
  return new Matcher(table, prefix, tensors, config).match();
}

/** What makes a match no network that can run, one sentence each. */
export function problemsOf({ contradictions, problems }: Match): string[] {
  return [...contradictions, ...[...problems].map(([name, problem]) => `${quoted(name)} ${problem}.`)];
}

/** Symbols of shapes with what the file's tensors say they are. */
type Symbols = Map<string, number>;

class Matcher {
  readonly #table: FamilyTable;
  readonly #prefix: string;
  readonly #tensors: readonly TensorHead[];
  readonly #byName: ReadonlyMap<string, TensorHead>;
  readonly #config: ModelConfig | null;
  readonly #symbols: Symbols = new Map();
  readonly #contradictions: string[] = [];
  readonly #problems = new Map<string, string>();
  readonly #remarks = new Map<string, string>();
  readonly #unused = new Set<string>();
  readonly #missing: TensorRow[] = [];
  readonly #uses = new Map<string, Piece[]>();
  readonly #roles = new Map<Role, number[]>();

  constructor(
    table: FamilyTable,
    prefix: string,
    tensors: readonly TensorHead[],
    config: ModelConfig | null,
  ) {
    this.#table = table;
    this.#prefix = prefix;
    this.#tensors = tensors;
    this.#byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.#config = config;
  }

  match(): Match {
    const { layers, counted, entries, features } = this.#entries();
    this.#checkPatch(entries[0] as TensorEntry);
    for (const entry of entries) this.#bind(entry);
    const D = this.#symbols.get("D") ?? 0;
    if (!this.#symbols.has("M")) this.#symbols.set("M", this.#config?.mlpSize ?? 4 * D);
    const M = this.#symbols.get("M") as number;
    // fc1 has M rows, or where gate and up projection are packed into it 2M
    if (this.#symbols.get("F") !== 2 * M) this.#symbols.set("F", M);
    for (const entry of entries) this.#take(entry);
    for (const { role, shape } of this.#table.zeros ?? []) this.#roles.set(role, this.#sides(shape));
    this.#checkLayers(layers);
    this.#strangers();

    const has = (role: Role) => this.#roles.has(role);
    const registers = this.#roles.get("register_tokens")?.[0] ?? 0;
    const prefixTokens = Number(has("cls_token")) + Number(has("dist_token")) + registers;
    const projectionSize = this.#roles.get("projection.weight")?.[0];
    const poolMlp = this.#roles.get("attention_pool.fc1.weight")?.[0];
    const gatedMlp = this.#roles.get("layer.0.fc1.weight")?.[0] === 2 * M;
    const shapes = {
      patchSize: this.#symbols.get("P") ?? 0,
      hiddenSize: D,
      layers,
      mlpSize: M,
      qkvBias: has("layer.0.q.bias"),
      prefixTokens,
      ...(registers > 0 ? { registers } : {}),
      ...(has("layer.0.scale1") ? { layerScale: true } : {}),
      ...(gatedMlp ? { gatedMlp } : {}),
      ...(has("pre_norm.weight") ? { preNorm: true } : {}),
      ...(projectionSize !== undefined ? { projectionSize } : {}),
      ...(poolMlp !== undefined ? { attentionPool: { mlpSize: poolMlp } } : {}),
    };
    const positions = this.#grid(prefixTokens, shapes.patchSize);
    const classes = has("head.weight") ? (this.#symbols.get("C") as number) : null;
    this.#checkClasses(classes);
    if (this.#config) this.#contradict(this.#config, { ...shapes, layers: counted }, positions);
    return {
      table: this.#table,
      prefix: this.#prefix,
      shapes,
      classes,
      positions,
      features,
      uses: this.#uses,
      roles: this.#roles,
      problems: this.#problems,
      missing: this.#missing,
      contradictions: this.#contradictions,
      remarks: this.#remarks,
      unused: this.#unused,
    };
  }

  /** Every tensor the network needs, by its whole name, those of the first layer before the others. */
  #entries(): { layers: number; counted: number; entries: TensorEntry[]; features: Set<string> } {
    const { tensors, layers: namings, head, headOutside } = this.#table;
    const following = ({ container, tensors }: FamilyTable["layers"][number]) =>
      tensors.filter(({ name }) => this.#byName.has(`${this.#prefix}${container}0.${name}`)).length;
    const naming = namings.reduce((best, one) => (following(one) > following(best) ? one : best));
    const counted = countLayers(this.#tensors, this.#prefix + naming.container);
    if (counted > MAX_LAYERS) {
      this.#contradictions.push(`The file numbers ${counted} layers; at most ${MAX_LAYERS} are read.`);
    }
    if (counted === 0) this.#contradictions.push("The file holds no transformer layers.");
    const layers = Math.min(this.#config?.layers ?? counted, MAX_LAYERS);

    const placed = (entry: TensorEntry, prefix: string, role: (role: Role) => Role = (r) => r) => ({
      ...entry,
      name: prefix + entry.name,
      roles: entry.roles.map((part) =>
        part === null ? null : typeof part === "string" ? role(part) : { ...part, role: role(part.role) },
      ),
    });
    const all = tensors.map((entry) => placed(entry, entry.outside ? "" : this.#prefix));
    for (let i = 0; i < layers; i++) {
      const at = `${this.#prefix}${naming.container}${i}.`;
      all.push(...naming.tensors.map((entry) => placed(entry, at, (role) => `layer.${i}.${role}`)));
    }
    all.push(...head.map((entry) => placed(entry, headOutside ? "" : this.#prefix)));

    const features = new Set(
      all.flatMap(({ name, feature }) => (feature !== undefined && this.#byName.has(name) ? [feature] : [])),
    );
    const entries = all.filter(({ feature }) => feature === undefined || features.has(feature));
    const classifiers = entries.filter(({ roles }) => roles.includes("head.weight"));
    if (classifiers.length > 1) {
      const names = classifiers.map(({ name }) => name.replace(/\.weight$/, ""));
      this.#contradictions.push(`The file holds two classifiers, ${names.join(" and ")}.`);
    }
    return { layers, counted, entries, features };
  }

  #checkPatch({ name }: TensorEntry): void {
    const { shape } = this.#byName.get(name) as TensorHead;
    if (shape.length !== 4 || shape.some((side) => side < 1)) {
      this.#problems.set(name, `has shape [${shape.join(", ")}], not [hidden, 3, patch, patch]`);
    } else if (shape[1] !== 3) {
      this.#problems.set(name, `takes ${shape[1]} colour channels; only RGB can be used`);
    } else if (shape[2] !== shape[3]) {
      this.#problems.set(name, `cuts patches of ${shape[2]} x ${shape[3]}; only square ones can be used`);
    }
  }

  /** Lets a tensor say what the symbols of its shape are that no tensor before it has said. */
  #bind({ name, shape }: TensorEntry): void {
    const found = this.#byName.get(name)?.shape;
    const terms = shape.split(" ").map(readTerm);
    if (found?.length !== terms.length) return;
    for (const [i, { factor, symbol }] of terms.entries()) {
      if (symbol && !this.#symbols.has(symbol)) this.#symbols.set(symbol, Math.floor(found[i]! / factor));
    }
  }

  /** A shape in symbols, in numbers. */
  #sides(shape: string): number[] {
    return shape
      .split(" ")
      .map(readTerm)
      .map(({ factor, symbol }) => factor * (symbol ? (this.#symbols.get(symbol) ?? 0) : 1));
  }

  #take(entry: TensorEntry): void {
    const terms = entry.shape.split(" ").map(readTerm);
    const shape = this.#sides(entry.shape);
    const pieces = this.#pieces(
      entry,
      terms.findIndex(({ symbol }) => symbol),
      shape,
    );
    const tensor = this.#byName.get(entry.name);
    if (!tensor) {
      this.#problems.set(entry.name, "is missing");
      const role = rolesOf(pieces);
      this.#missing.push({ name: entry.name, shape, dtype: "", bytes: 0, role, problem: "is missing" });
      return;
    }
    this.#uses.set(entry.name, pieces);
    if (this.#problems.has(entry.name)) return;
    if (!sameShape(tensor.shape, shape)) {
      this.#problems.set(
        entry.name,
        `has shape [${tensor.shape.join(", ")}] instead of [${shape.join(", ")}]`,
      );
    } else if (!isWeightDtype(tensor.dtype)) {
      this.#problems.set(entry.name, `is stored as ${tensor.dtype}; ${readable}`);
    }
  }

  /** Pieces of a tensor of this shape, and the shapes of their roles. @param ones leading sides of 1, which the house drops */
  #pieces({ roles, transposed }: TensorEntry, ones: number, shape: number[]): Piece[] {
    const [rows = 1, ...rest] = shape.slice(Math.max(0, ones));
    const width = rest.reduce((a, b) => a * b, 1);
    const count = (rows * width) / roles.length;
    const pieces: Piece[] = [];
    for (const [n, part] of roles.entries()) {
      if (part === null) continue;
      const {
        role,
        index,
        count: parts,
      } = typeof part === "string" ? { role: part, index: 0, count: 1 } : part;
      pieces.push({ role, at: n * count, into: index * count, count, ...(transposed ? { rows } : {}) });
      const house = transposed ? [width, rows] : [(rows / roles.length) * parts, ...rest];
      this.#roles.set(role, role === "patch_embed.weight" ? [rows, width] : house);
    }
    return pieces;
  }

  /** Every layer needs its four linear maps, by whichever names; a bias of q, k and v that is not stored is zeros. */
  #checkLayers(layers: number): void {
    const D = this.#symbols.get("D") ?? 0;
    for (let i = 0; i < layers; i++) {
      for (const matrix of ["q", "k", "v", "o", "fc1", "fc2"]) {
        if (this.#roles.has(`layer.${i}.${matrix}.weight`)) continue;
        this.#contradictions.push(`Layer ${i} has no weights for ${matrix}.`);
      }
      const biases = ["q", "k", "v"].map((matrix) => `layer.${i}.${matrix}.bias`);
      const some = biases.some((role) => this.#roles.has(role));
      for (const role of biases) if (some && !this.#roles.has(role)) this.#roles.set(role, [D]);
    }
    if (!this.#roles.has("norm.weight")) this.#contradictions.push("The final norm is missing.");
  }

  #nameOf(role: Role): string {
    return [...this.#uses].find(([, pieces]) => pieces.some((piece) => piece.role === role))?.[0] ?? role;
  }

  /** Which tokens the added positions belong to: those that leave a square of patches. */
  #grid(prefixTokens: number, patchSize: number): PositionGrid | null {
    if (!this.#table.positions) return null;
    const positions = this.#symbols.get("T") ?? 0;
    const options = this.#table.positions.covers.map((covers) => {
      const covered = covers === "all" ? prefixTokens : covers === "cls" ? Math.min(1, prefixTokens) : 0;
      return { covered, side: Math.sqrt(Math.max(0, positions - covered)) };
    });
    const square = options.filter(({ side }) => Number.isInteger(side) && side > 0);
    const said = square.find(({ side }) => side * patchSize === this.#config?.imageSize);
    const found = said ?? square[0];
    if (found) return found;
    const first = options[0] as PositionGrid;
    if (positions > 0) {
      this.#problems.set(
        this.#nameOf("pos_embed"),
        `has ${positions} positions, which is not ${first.covered} and a square of patches`,
      );
    }
    return { ...first, side: Math.floor(first.side) };
  }

  #checkClasses(classes: number | null): void {
    if (classes === 0) this.#problems.set(this.#nameOf("head.weight"), "has no rows, so it knows no classes");
    if (classes !== null && classes > MAX_CLASSES) {
      this.#contradictions.push(`The classifier has ${classes} classes; at most ${MAX_CLASSES} are read.`);
    }
  }

  /** A buffer of whole numbers changes nothing; a weight that the network does not have would be left out of the sum. */
  #strangers(): void {
    const { ignored, own, title } = this.#table;
    for (const { name, dtype, shape } of this.#tensors) {
      if (this.#uses.has(name) || this.#problems.has(name)) continue;
      const under = name.startsWith(this.#prefix);
      const inside = under ? name.slice(this.#prefix.length) : name;
      if (ignored.test(inside)) continue;
      // An empty tensor takes part in nothing.
      const backbone = under && (this.#prefix !== "" || own.test(name)) && !shape.includes(0);
      if (backbone && isWeightDtype(dtype)) {
        this.#problems.set(name, `is no part of ${title}, so this is another network`);
      } else {
        this.#remarks.set(name, NOT_USED);
        this.#unused.add(name);
      }
    }
  }

  #contradict(config: ModelConfig, found: Match["shapes"], positions: PositionGrid | null): void {
    const compare = (key: string, says: number | undefined, holds: number) => {
      if (says !== undefined && says !== holds) {
        this.#contradictions.push(
          `config.json says ${quoted(key)} is ${says}, but the tensors say ${holds}.`,
        );
      }
    };
    if (config.modelType !== undefined && !this.#table.modelTypes.includes(config.modelType)) {
      this.#contradictions.push(
        `config.json says ${quoted(config.modelType)}, but the tensors are those of ${this.#table.title}.`,
      );
    }
    compare("hidden_size", config.hiddenSize, found.hiddenSize);
    compare("num_hidden_layers", config.layers, found.layers);
    compare("intermediate_size", config.mlpSize, found.mlpSize);
    compare("patch_size", config.patchSize, found.patchSize);
    if (positions) compare("image_size", config.imageSize, positions.side * found.patchSize);
    compare("num_channels", config.channels, 3);
    if (config.qkvBias !== undefined && config.qkvBias !== found.qkvBias) {
      this.#remarks.set(
        this.#nameOf("layer.0.q.weight"),
        `config.json says qkv_bias is ${config.qkvBias}; the file holds ${found.qkvBias ? "biases" : "none"}, and that counts.`,
      );
    }
  }
}

/** What a tensor is used as, for the table of tensors. */
export function rolesOf(pieces: readonly Piece[]): string | null {
  return pieces.length === 0 ? null : pieces.map(({ role }) => role).join(", ");
}

function readTerm(term: string): { factor: number; symbol: string | null } {
  const [, factor, symbol] = /^(\d*)([A-Z]?)$/.exec(term) as RegExpExecArray;
  return { factor: factor ? Number(factor) : 1, symbol: symbol || null };
}

/** One more than the highest layer number in the file. */
function countLayers(tensors: readonly TensorHead[], container: string): number {
  let count = 0;
  for (const { name } of tensors) {
    if (!name.startsWith(container)) continue;
    const digits = /^\d{1,9}(?=\.)/.exec(name.slice(container.length, container.length + 10));
    if (digits) count = Math.max(count, Number(digits[0]) + 1);
  }
  return count;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
