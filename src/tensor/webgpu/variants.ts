// Which form of a kernel runs on which adapter: the one table. Software adapters want few, large, independent
// invocations; GPUs want many threads that share what they load. What a GPU's products run as is measured on it once
// (tuning.ts) for each class of shapes; the figures here stand until it has been. Figures come from bench/.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";

/** Every invocation keeps a tile of C in registers and shares nothing. */
export interface InRegisters {
  kind: "registers";
  tile: { rows: number; columns: number };
  workgroup: number;
}

/**
 * A workgroup stages tiles of A and B in its own memory, `depth` numbers of the summed axis at a time. Each invocation
 * keeps `each` numbers of C; `slices` groups of them share the summed axis and add up at the end.
 */
export interface InWorkgroup {
  kind: "workgroup";
  tile: { rows: number; columns: number; depth: number };
  each: { rows: number; columns: number };
  slices: number;
}

export type ProductVariant = InRegisters | InWorkgroup;

/** What a product's form is chosen by. */
export interface ProductShape {
  rows: number;
  columns: number;
  depth: number;
  pieces: number;
  layout: ProductLayout;
  /** Whether every operand can be read by fours. */
  byFour: boolean;
}

/** Which operands have the summed axis contiguous: x Wᵀ both, dy W only the first, dyᵀ x neither. */
export type ProductLayout = "x Wᵀ" | "dy W" | "dyᵀ x";

/** Attention's forms for GPUs: attention_tiled.ts and attention_staged.ts. */
export const attentionForms = ["staged", "workgroup"] as const;
export type AttentionForm = (typeof attentionForms)[number];

export interface Variant {
  product(shape: ProductShape): ProductVariant;
  /** Workgroups, or invocations that share nothing, that keep the adapter busy: long sums are cut into parts until there are about as many. */
  busy: { workgroups: number; invocations: number };
  /** Invocations of a workgroup where each deals with an element or a row of its own. */
  workgroup: number;
  /** Invocations that share one row where a row is summed. */
  lanesPerRow: number;
  /** Whether these combine what they have by subgroups. */
  subgroups: boolean;
  /** Attention: a workgroup owns tokens, or stages those that its invocations' own are held against, or nothing is shared and an invocation has a few tokens. */
  attention: AttentionForm | { rows: number };
  /** Dispatches that are sent to the device together. */
  submitAfter: number;
}

const software: Variant = {
  product({ columns, byFour }) {
    // Loads are what costs: 8 x 16 makes a quarter fewer than 8 x 8 and still compiles in 0.4 s. Matrices that cannot
    // be read by fours compile four times the loads, so they get the smaller tile.
    const wide = columns > 12 && byFour ? 16 : columns > 8 && byFour ? 12 : columns > 4 ? 8 : 4;
    return { kind: "registers", tile: { rows: wide > 4 ? 8 : 16, columns: wide }, workgroup: 8 };
  },
  busy: { workgroups: 16, invocations: 64 },
  workgroup: 8,
  lanesPerRow: 1,
  subgroups: false,
  attention: { rows: 4 },
  submitAfter: 15,
};

const tiles = (
  [rows, columns, depth]: [number, number, number],
  [eachRows, eachColumns]: [number, number],
  slices = 1,
): InWorkgroup => ({
  kind: "workgroup",
  tile: { rows, columns, depth },
  each: { rows: eachRows, columns: eachColumns },
  slices,
});

/** Sizes that are tuned apart from each other. */
export type ProductSize = "thin columns" | "thin rows" | "narrow" | "small" | "medium" | "large" | "largest";
export type ProductClass = `${ProductLayout}, ${ProductSize}`;

/**
 * The class of a shape: a rank's or a classifier's worth of columns or rows, then by numbers of C, which say whether
 * large tiles leave a GPU idle.
 */
export function classOf({ rows, columns, pieces, layout }: ProductShape): ProductClass {
  const numbers = rows * columns * pieces;
  const size =
    columns <= 16
      ? "thin columns"
      : rows <= 16
        ? "thin rows"
        : Math.min(rows, columns) <= 48
          ? "narrow"
          : numbers <= 2 ** 18
            ? "small"
            : numbers <= 3 * 2 ** 18
              ? "medium"
              : numbers <= 3 * 2 ** 20
                ? "large"
                : "largest";
  return `${layout}, ${size}`;
}

const large = [
  tiles([64, 64, 16], [8, 4]),
  tiles([64, 64, 16], [8, 8]),
  tiles([128, 64, 16], [8, 8]),
  tiles([128, 128, 16], [8, 8]),
];

/** What a product of a class may run as on a GPU, the one to start from first. */
export const productCandidates: Record<ProductSize, readonly ProductVariant[]> = {
  "thin columns": [tiles([16, 16, 64], [4, 4], 8), tiles([32, 16, 64], [4, 4], 8)],
  "thin rows": [tiles([16, 32, 64], [4, 4], 8), tiles([16, 64, 32], [4, 4], 4)],
  narrow: [tiles([32, 32, 32], [4, 4], 4), tiles([64, 32, 32], [4, 4])],
  small: [tiles([32, 32, 32], [4, 4], 4), tiles([64, 32, 32], [4, 4])],
  medium: [tiles([64, 32, 32], [4, 4]), tiles([64, 64, 16], [8, 4])],
  large,
  largest: large,
};

/** A tile without barriers; where a device has too little memory for workgroups, and for comparison. */
const alone = (rows: number): InRegisters => ({
  kind: "registers",
  tile: { rows, columns: rows },
  workgroup: 64,
});

/** What was measured to be fastest on an adapter. */
export interface Tuned {
  products: Partial<Record<ProductClass, ProductVariant>>;
  attention?: AttentionForm | undefined;
}

const hardware: Variant = {
  product: (shape) => {
    const size = classOf(shape).slice(shape.layout.length + 2) as ProductSize;
    return productCandidates[size][0] as ProductVariant;
  },
  busy: { workgroups: 512, invocations: 8192 },
  workgroup: 64,
  lanesPerRow: 64,
  subgroups: false,
  attention: "staged",
  submitAfter: 32,
};

const chosen = new WeakMap<GPUDevice, Variant>();

/** The variant for the adapter a backend runs on. */
export function variantOf(backend: WebGPUBackend): Variant {
  return chosen.get(backend.device) ?? hardware;
}

/** Notes what a device is: one that computes on the CPU, or a GPU with what was measured on it. */
export function chooseVariant(device: GPUDevice, about: "software" | Tuned): void {
  if (about === "software") chosen.set(device, software);
  else {
    chosen.set(device, {
      ...hardware,
      subgroups: subgroupsOf(device),
      attention: about.attention ?? hardware.attention,
      product: (shape) => about.products[classOf(shape)] ?? hardware.product(shape),
    });
  }
}

/** Whether a device was opened with subgroups, and none is wider than the lanes of a row. */
function subgroupsOf({ features, adapterInfo }: GPUDevice): boolean {
  const { subgroupMaxSize } = adapterInfo as GPUAdapterInfo & { subgroupMaxSize?: number };
  return features.has("subgroups") && (subgroupMaxSize ?? 128) <= hardware.lanesPerRow;
}

/** Makes a device compute in forms that were not chosen for it; for tests and measurements. */
export function forceVariant(device: GPUDevice, forms: Partial<Variant>): void {
  chosen.set(device, { ...(chosen.get(device) ?? hardware), ...forms });
}

/** The form that fits a device: one that shares nothing where its workgroups have too little memory. */
export function fitted(device: GPUDevice, variant: ProductVariant): ProductVariant {
  if (variant.kind === "registers") return variant;
  const { invocations, bytes } = workgroupOf(variant);
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = device.limits;
  const fits = invocations <= maxComputeInvocationsPerWorkgroup && bytes <= maxComputeWorkgroupStorageSize;
  return fits ? variant : alone(variant.each.rows);
}

/** Invocations and bytes of memory that a workgroup takes. */
export function workgroupOf({ tile, each, slices }: InWorkgroup): { invocations: number; bytes: number } {
  const perSlice = (tile.rows / each.rows) * (tile.columns / each.columns);
  const sums = slices > 1 ? perSlice * each.rows * each.columns : 0;
  return { invocations: perSlice * slices, bytes: 4 * ((tile.rows + tile.columns) * tile.depth + sums) };
}
