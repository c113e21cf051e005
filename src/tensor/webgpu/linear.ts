// WebGPU bodies of `linear` and `linearInputGradient` (../linear.ts).
import { product } from "./product.ts";
import { registerBody } from "./program.ts";

registerBody("Linear", ({ x, weight, bias, residual }, _, backend) => {
  const [rows, depth] = x!.shape as [number, number];
  const columns = weight!.shape[0]!;
  return product(backend, {
    rows,
    columns,
    depth,
    pieces: 1,
    a: { tensor: x!, layout: "k inner", stride: depth, piece: 0 },
    b: { tensor: weight!, layout: "k inner", stride: depth, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
    bias,
    add: residual,
  });
});

registerBody("LinearInputGradient", ({ dy, weight, add }, _, backend) => {
  const [rows, depth] = dy!.shape as [number, number];
  const columns = weight!.shape[1]!;
  return product(backend, {
    rows,
    columns,
    depth,
    pieces: 1,
    a: { tensor: dy!, layout: "k inner", stride: depth, piece: 0 },
    b: { tensor: weight!, layout: "k outer", stride: columns, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
    add,
  });
});
