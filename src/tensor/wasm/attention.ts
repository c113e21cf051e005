// WASM bodies of attention and its gradient (../attention.ts): an image and head at a time.
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Attributes } from "../body.ts";
import type { Body } from "./bodies.ts";
import { bits } from "./machine.ts";

/** Scores of as many queries as fit here are held at once. */
const STRIP_BYTES = 32768;

function layout(qkv: TensorInfo, attributes: Attributes) {
  const { batch, tokens, heads } = attributes as { batch: number; tokens: number; heads: number };
  const width = qkv.shape[1]! / 3;
  const size = width / heads;
  const paddedTokens = 8 * Math.ceil(tokens / 8);
  const tiles = Math.max(1, Math.floor(STRIP_BYTES / (4 * paddedTokens * 6)));
  const strip = 6 * Math.min(tiles, Math.ceil(tokens / 6));
  const packed = 4 * paddedTokens * (8 * Math.ceil(size / 8));
  return {
    width,
    chunks: batch * heads,
    scratchOf: (packs: number, strips: number) => 256 + packs * packed + strips * 4 * strip * paddedTokens,
    args: [tokens, heads, size, bits(1 / Math.sqrt(size)), strip],
  };
}

export const attentionBodies: Record<string, Body> = {
  Attention(machine, { qkv }, attributes) {
    const { width, chunks, scratchOf, args } = layout(qkv!, attributes);
    const out = machine.output([qkv!.shape[0]!, width]);
    machine.run({
      kernel: "attention",
      chunks,
      scratch: scratchOf(2, 1),
      args: [machine.address(qkv!), machine.address(out), ...args],
    });
    return out;
  },

  AttentionInputGradient(machine, { dout, qkv, out }, attributes) {
    const { chunks, scratchOf, args } = layout(qkv!, attributes);
    const dqkv = machine.output(qkv!.shape);
    machine.run({
      kernel: "attentionInputGradient",
      chunks,
      scratch: scratchOf(3, 2),
      args: [
        ...[qkv!, out!].map((t) => machine.address(t)),
        ...args,
        machine.address(dout!),
        machine.address(dqkv),
      ],
    });
    return dqkv;
  },
};
