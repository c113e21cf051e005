// WebGPU bodies of the low-rank products (../low_rank.ts). Pieces lie side by side in memory, so each is the same
// product with another start.
import { product } from "./product.ts";
import { registerBody } from "./program.ts";

registerBody("FormWeight", ({ weight, A, B, scale }, _, backend) => {
  const [out, width] = weight!.shape as [number, number];
  const rank = B!.shape[1]!;
  const pieces = scale!.shape[0]!;
  return product(backend, {
    rows: out / pieces,
    columns: width,
    depth: rank,
    pieces,
    a: { tensor: B!, layout: "k inner", stride: rank, piece: (out / pieces) * rank },
    b: { tensor: A!, layout: "k outer", stride: width, piece: rank * width },
    shape: [out, width],
    stride: width,
    piece: (out / pieces) * width,
    add: weight,
    scale,
  });
});

registerBody("ProjectDown", ({ x, A }, _, backend) => {
  const [rows, depth] = x!.shape as [number, number];
  const columns = A!.shape[0]!;
  return product(backend, {
    rows,
    columns,
    depth,
    pieces: 1,
    a: { tensor: x!, layout: "k inner", stride: depth, piece: 0 },
    b: { tensor: A!, layout: "k inner", stride: depth, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
  });
});

registerBody("AdapterU", ({ dy, z }, attributes, backend) => {
  const pieces = attributes.pieces as number;
  const [tokens, out] = dy!.shape as [number, number];
  const rank = z!.shape[1]! / pieces;
  return product(backend, {
    rows: out / pieces,
    columns: rank,
    depth: tokens,
    pieces,
    a: { tensor: dy!, layout: "k outer", stride: out, piece: out / pieces },
    b: { tensor: z!, layout: "k outer", stride: rank * pieces, piece: rank },
    shape: [out, rank],
    stride: rank,
    piece: (out / pieces) * rank,
  });
});

registerBody("AdapterV", ({ dy, B }, attributes, backend) => {
  const pieces = attributes.pieces as number;
  const [tokens, out] = dy!.shape as [number, number];
  const rank = B!.shape[1]!;
  return product(backend, {
    rows: tokens,
    columns: rank,
    depth: out / pieces,
    pieces,
    a: { tensor: dy!, layout: "k inner", stride: out, piece: out / pieces },
    b: { tensor: B!, layout: "k outer", stride: rank, piece: (out / pieces) * rank },
    shape: [tokens, rank * pieces],
    stride: rank * pieces,
    piece: rank,
  });
});

registerBody("OuterSum", ({ v, x }, _, backend) => {
  const [tokens, rows] = v!.shape as [number, number];
  const columns = x!.shape[1]!;
  return product(backend, {
    rows,
    columns,
    depth: tokens,
    pieces: 1,
    a: { tensor: v!, layout: "k outer", stride: rows, piece: 0 },
    b: { tensor: x!, layout: "k outer", stride: columns, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
  });
});
