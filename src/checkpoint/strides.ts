// Tensors that are views: how far a view reaches into its storage, and its numbers put in rows.

/** Numbers from the first to the last one of a view, or null where shape and strides do not go together. */
export function spanOf(shape: readonly number[], stride: readonly number[]): number | null {
  if (shape.length !== stride.length) return null;
  if (shape.includes(0)) return 0;
  const last = shape.reduce((sum, side, i) => sum + (side - 1) * stride[i]!, 0);
  return Number.isSafeInteger(last) ? last + 1 : null;
}

/** Whether a view's numbers lie in rows, one after the other. */
export function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i]! > 1 && stride[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

/** A view's numbers row by row; `size` is the bytes of one. A number may stand in many places (an expanded view). */
export function inRows(
  bytes: ArrayBuffer,
  shape: readonly number[],
  stride: readonly number[],
  size: number,
): ArrayBuffer {
  // A number is copied as bits, 8 bytes as two halves, so that no NaN changes.
  const unit = Math.min(size, 4);
  const units = size / unit;
  const make = (buffer: ArrayBuffer) =>
    unit === 1 ? new Uint8Array(buffer) : unit === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
  const count = shape.reduce((a, b) => a * b, 1);
  const result = new ArrayBuffer(count * size);
  const from = make(bytes);
  const to = make(result);
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let i = 0; i < count; i++) {
    for (let u = 0; u < units; u++) to[i * units + u] = from[source * units + u]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
