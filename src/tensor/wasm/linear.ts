// WASM bodies of `linear` and its gradient (../linear.ts) and of the low-rank products (../low_rank.ts). Pieces lie side
// by side in memory, so each is the same product with another start.
import type { Body } from "./bodies.ts";
import { product } from "./product.ts";

export const linearBodies: Record<string, Body> = {
  Linear(machine, { x, weight, bias, residual }) {
    const [rows, depth] = x!.shape as [number, number];
    const columns = weight!.shape[0]!;
    return product(machine, {
      ...{ rows, columns, depth, pieces: 1 },
      a: { tensor: x!, layout: "k inner", stride: depth, piece: 0 },
      b: { tensor: weight!, layout: "k inner", stride: depth, piece: 0 },
      ...{ shape: [rows, columns], stride: columns, piece: 0 },
      bias,
      add: residual,
    });
  },

  LinearInputGradient(machine, { dy, weight, add }) {
    const [rows, depth] = dy!.shape as [number, number];
    const columns = weight!.shape[1]!;
    return product(machine, {
      ...{ rows, columns, depth, pieces: 1 },
      a: { tensor: dy!, layout: "k inner", stride: depth, piece: 0 },
      b: { tensor: weight!, layout: "k outer", stride: columns, piece: 0 },
      ...{ shape: [rows, columns], stride: columns, piece: 0 },
      add,
    });
  },

  FormWeight(machine, { weight, A, B, scale }) {
    const [out, width] = weight!.shape as [number, number];
    const rank = B!.shape[1]!;
    const pieces = scale!.shape[0]!;
    return product(machine, {
      ...{ rows: out / pieces, columns: width, depth: rank, pieces },
      a: { tensor: B!, layout: "k inner", stride: rank, piece: (out / pieces) * rank },
      b: { tensor: A!, layout: "k outer", stride: width, piece: rank * width },
      ...{ shape: [out, width], stride: width, piece: (out / pieces) * width },
      add: weight,
      scale,
    });
  },

  ProjectDown(machine, { x, A }) {
    const [rows, depth] = x!.shape as [number, number];
    const columns = A!.shape[0]!;
    return product(machine, {
      ...{ rows, columns, depth, pieces: 1 },
      a: { tensor: x!, layout: "k inner", stride: depth, piece: 0 },
      b: { tensor: A!, layout: "k inner", stride: depth, piece: 0 },
      ...{ shape: [rows, columns], stride: columns, piece: 0 },
    });
  },

  // zᵀ·dy, stored turned: the thin operand goes where tiles are low, and the wide one is read line by line
  AdapterU(machine, { dy, z }, attributes) {
    const pieces = attributes.pieces as number;
    const [tokens, out] = dy!.shape as [number, number];
    const rank = z!.shape[1]! / pieces;
    return product(machine, {
      ...{ rows: rank, columns: out / pieces, depth: tokens, pieces },
      a: { tensor: z!, layout: "k outer", stride: rank * pieces, piece: rank },
      b: { tensor: dy!, layout: "k outer", stride: out, piece: out / pieces },
      ...{ shape: [out, rank], stride: rank, piece: (out / pieces) * rank },
      turned: true,
    });
  },

  AdapterV(machine, { dy, B }, attributes) {
    const pieces = attributes.pieces as number;
    const [tokens, out] = dy!.shape as [number, number];
    const rank = B!.shape[1]!;
    return product(machine, {
      ...{ rows: tokens, columns: rank, depth: out / pieces, pieces },
      a: { tensor: dy!, layout: "k inner", stride: out, piece: out / pieces },
      b: { tensor: B!, layout: "k outer", stride: rank, piece: (out / pieces) * rank },
      ...{ shape: [tokens, rank * pieces], stride: rank * pieces, piece: rank },
    });
  },

  // the same with the narrower of the two in the place of z
  OuterSum(machine, { v, x }) {
    const [tokens, rows] = v!.shape as [number, number];
    const columns = x!.shape[1]!;
    const turned = columns < rows;
    const [low, wide] = turned ? [x!, v!] : [v!, x!];
    const [lowRows, wideColumns] = [low.shape[1]!, wide.shape[1]!];
    return product(machine, {
      ...{ rows: lowRows, columns: wideColumns, depth: tokens, pieces: 1 },
      a: { tensor: low, layout: "k outer", stride: lowRows, piece: 0 },
      b: { tensor: wide, layout: "k outer", stride: wideColumns, piece: 0 },
      ...{ shape: [rows, columns], stride: columns, piece: 0 },
      turned,
    });
  },
};
