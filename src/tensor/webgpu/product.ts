// The product of ../product.ts on a GPU, with GELU as the result is stored.
// The form it runs in is the table's to choose (variants.ts); product_code.ts and product_tiled.ts hold their code.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import type { GeluKind } from "../gelu.ts";
import type { Product } from "../product.ts";
import { type CodeChoices, registersCode } from "./product_code.ts";
import { tiledCode } from "./product_tiled.ts";
import { type Binding, dispatch, fours, isHalves, type Program } from "./program.ts";
import { fitted, type ProductVariant, variantOf, workgroupOf } from "./variants.ts";

export interface GpuProduct extends Product {
  /** Applied last: C = gelu(C), or with `u`, laid out as C, C = C·gelu'(u). */
  gelu?: { kind: GeluKind; u?: tf.TensorInfo | undefined } | undefined;
}

/**
 * Where a product goes that is summed in parts: part i of C, sums over the i-th share of k, begins `start + i·distance`
 * numbers into `tensor`.
 */
export interface Parts {
  tensor: tf.TensorInfo;
  start: number;
  distance: number;
  count: number;
}

/** Computes the product on the GPU. */
export function product(backend: WebGPUBackend, p: GpuProduct): tf.TensorInfo {
  const result = backend.makeTensorInfo(p.shape, "float32");
  dispatch(backend, productProgram(backend, p, { tensor: result, start: 0, distance: 0, count: 1 }));
  return result;
}

/** Computes a product whose summed axis is long in parts, which the caller sums up: always in the same order. */
export function productInParts(backend: WebGPUBackend, p: GpuProduct, parts: Parts): void {
  dispatch(backend, productProgram(backend, p, parts));
}

/** Into how many parts a product's summed axis is cut, so that the device has enough to do at once. */
export function partsFor(
  backend: WebGPUBackend,
  p: Pick<GpuProduct, "rows" | "columns" | "depth" | "pieces" | "a" | "b">,
  most: number,
): number {
  const form = formOf(backend, p, fours(p.rows, p.columns));
  const tiles = p.pieces * Math.ceil(p.rows / form.tile.rows) * Math.ceil(p.columns / form.tile.columns);
  const { busy } = variantOf(backend);
  const wanted = form.kind === "registers" ? busy.invocations : busy.workgroups;
  return Math.max(1, Math.min(most, Math.floor(wanted / tiles), Math.ceil(p.depth / 64)));
}

function formOf(
  backend: WebGPUBackend,
  {
    rows,
    columns,
    depth,
    pieces,
    a,
    b,
  }: Pick<GpuProduct, "rows" | "columns" | "depth" | "pieces" | "a" | "b">,
  byFour: boolean,
): ProductVariant {
  const layout = a.layout === "k outer" ? "dyᵀ x" : b.layout === "k outer" ? "dy W" : "x Wᵀ";
  return fitted(backend.device, variantOf(backend).product({ rows, columns, depth, pieces, layout, byFour }));
}

/** The program of a product; `forced` is a form that the table did not choose, for measurements. */
export function productProgram(
  backend: WebGPUBackend,
  p: GpuProduct,
  into: Parts,
  forced?: ProductVariant,
): Program {
  const { a, b } = p;
  const aFours = fours(a.layout === "k inner" ? p.depth : p.rows, a.stride, a.piece);
  const bFours = fours(b.layout === "k inner" ? p.depth : p.columns, b.stride, b.piece);
  const cFours = fours(p.columns, p.stride, p.piece, into.start, into.distance);
  const form = forced ?? formOf(backend, p, aFours && bFours && cFours);
  const { tile } = form;
  const rowTiles = Math.ceil(p.rows / tile.rows);
  const columnTiles = Math.ceil(p.columns / tile.columns);
  const groups = p.pieces * into.count * rowTiles * columnTiles;
  const inParts = into.count > 1 || into.start > 0;
  // whole fours, so that only the last share can end inside one
  const share = into.count > 1 ? 4 * Math.ceil(p.depth / into.count / 4) : p.depth;
  const c4 = cFours ? 4 : 1;
  const bHalves = bFours && isHalves(backend, b.tensor);
  const addHalves = cFours && !!p.add && isHalves(backend, p.add);
  const pairs = { components: 2, type: "u32", halves: true } as const;
  const inputs: Binding[] = [
    { name: "a", tensor: a.tensor, components: aFours ? 4 : 1 },
    { name: "b", tensor: b.tensor, ...(bHalves ? pairs : { components: bFours ? 4 : 1 }) },
  ];
  if (p.bias) inputs.push({ name: "bias", tensor: p.bias, components: c4 });
  if (p.add) inputs.push({ name: "add", tensor: p.add, ...(addHalves ? pairs : { components: c4 }) });
  if (p.scale) inputs.push({ name: "scale", tensor: p.scale });
  if (p.gelu?.u) inputs.push({ name: "geluInput", tensor: p.gelu.u, components: c4 });
  const per = (is4: boolean) => (is4 ? 4 : 1);
  const choices: CodeChoices = {
    aInner: a.layout === "k inner",
    bInner: b.layout === "k inner",
    aFours,
    bFours,
    bHalves,
    cFours,
    rowsByFour: fours(p.rows),
    columnsByFour: fours(p.columns),
    bias: p.bias !== undefined,
    add: p.add !== undefined,
    addHalves,
    scale: p.scale !== undefined,
    gelu: p.gelu ? { kind: p.gelu.kind, slope: p.gelu.u !== undefined } : null,
    inParts,
  };
  const workgroup = form.kind === "registers" ? form.workgroup : workgroupOf(form).invocations;
  return {
    key: `product ${a.layout} ${b.layout} ${choices.rowsByFour} ${choices.columnsByFour} ${formName(form)} ${p.gelu?.kind ?? ""} ${inParts}`,
    bindings: [{ name: "result", tensor: into.tensor, components: c4, writes: true }, ...inputs],
    invocations: form.kind === "registers" ? groups : groups * workgroup,
    workgroup,
    integers: {
      rows: p.rows,
      columns: p.columns,
      depth: p.depth,
      rowTiles,
      columnTiles,
      pieces: p.pieces,
      aStride: a.stride / per(aFours),
      aPiece: a.piece / per(aFours),
      bStride: b.stride / per(bFours),
      bPiece: b.piece / per(bFours),
      cStride: p.stride / per(cFours),
      cPiece: p.piece / per(cFours),
      ...(inParts
        ? {
            parts: into.count,
            share,
            cStart: into.start / per(cFours),
            cDistance: into.distance / per(cFours),
          }
        : {}),
      ...(form.kind === "workgroup" ? { steps: Math.ceil(share / form.tile.depth) } : {}),
    },
    code: () => (form.kind === "registers" ? registersCode(choices, form) : tiledCode(choices, form)),
  };
}

/** A form's name in keys and tables, `64x64x16 of 8x8`. */
export function formName(form: ProductVariant): string {
  const { rows, columns } = form.tile;
  if (form.kind === "registers") return `${rows}x${columns}`;
  const { tile, each, slices } = form;
  return `${rows}x${columns}x${tile.depth} of ${each.rows}x${each.columns}${slices > 1 ? ` by ${slices}` : ""}`;
}
