// Pictures for tests of many files.

/** A bitmap of 8 x 8 pixels that differs for each seed; all are of one size, so that listing has to look into each. */
export function picture(seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(54 + 8 * 8 * 3);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, 8, true);
  view.setInt32(22, 8, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let i = 54; i < bytes.length; i++) bytes[i] = (seed >> (8 * (i % 4))) & 255;
  return bytes;
}
