// WASM bodies of what works number by number: GELU (../gelu.ts), AdamW (../optimiser.ts), patches and tokens
// (../patch_embed.ts).
import { util } from "@tensorflow/tfjs-core";
import type { GeluKind } from "../gelu.ts";
import type { Body } from "./bodies.ts";
import { bits } from "./machine.ts";

/** As in assembly/elements.ts. */
const PER_CHUNK = 8192;
const kinds: GeluKind[] = ["gelu", "gelu_tanh", "quick_gelu"];

export const elementBodies: Record<string, Body> = {
  Gelu(machine, { u }, attributes) {
    const count = util.sizeFromShape(u!.shape);
    const out = machine.output(u!.shape);
    machine.run({
      kernel: "gelu",
      chunks: Math.ceil(count / PER_CHUNK),
      args: [machine.address(u!), machine.address(out), count, kinds.indexOf(attributes.kind as GeluKind)],
    });
    return out;
  },

  GeluInputGradient(machine, { dh, u }, attributes) {
    const count = util.sizeFromShape(u!.shape);
    const out = machine.output(u!.shape);
    const kind = kinds.indexOf(attributes.kind as GeluKind);
    machine.run({
      kernel: "geluInputGradient",
      chunks: Math.ceil(count / PER_CHUNK),
      args: [machine.address(u!), machine.address(out), count, kind, machine.address(dh!)],
    });
    return out;
  },

  Patchify(machine, { pixels }, attributes) {
    const [batch, height, width] = pixels!.shape as [number, number, number];
    const side = attributes.patchSize as number;
    const { meanR, meanG, meanB, stdR, stdG, stdB } = attributes as Record<string, number>;
    const out = machine.output([(batch * height * width) / side ** 2, 3 * side ** 2]);
    machine.run({
      kernel: "patchify",
      chunks: (batch * height) / side,
      args: [
        ...[machine.address(pixels!), machine.address(out), batch, height, width, side],
        pixels!.dtype === "int32" ? 1 : 0,
        ...[stdR, stdG, stdB].map((std) => bits(1 / (255 * std!))),
        ...[bits(-meanR! / stdR!), bits(-meanG! / stdG!), bits(-meanB! / stdB!)],
      ],
    });
    return out;
  },

  AddTokens(machine, { patches, prefix, pos }, attributes) {
    const batch = attributes.batch as number;
    const [tokens, width] = pos!.shape as [number, number];
    const ahead = prefix!.shape[0]!;
    const out = machine.output([batch * tokens, width]);
    machine.run({
      kernel: "addTokens",
      chunks: batch,
      args: [
        ...[patches!, prefix!, pos!, out].map((t) => machine.address(t)),
        ...[ahead, tokens - ahead, width],
      ],
    });
    return out;
  },

  AdamW(machine, { parameter, gradient, m, v }, attributes) {
    const count = util.sizeFromShape(parameter!.shape);
    const { rate, keep, unbias1, unbias2, beta1, beta2, epsilon } = attributes as Record<string, number>;
    const numbers = [rate! * unbias1!, keep!, beta1!, 1 - beta1!, beta2!, 1 - beta2!, unbias2!, epsilon!];
    machine.run({
      kernel: "adamw",
      chunks: Math.ceil(count / PER_CHUNK),
      args: [...[parameter!, m!, v!, gradient!].map((t) => machine.address(t)), count, ...numbers.map(bits)],
    });
    return [];
  },
};
