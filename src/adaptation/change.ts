// What a strategy learns at one site, behind one interface: how W' is formed from it, what it collects while backward
// passes, how a gate hears of it, and how big it is. `low_rank_change.ts`, `residual_change.ts`, `dora_change.ts`.
import type { Tensor1D, Tensor2D, Variable } from "@tensorflow/tfjs-core";
import type { Trainables } from "../tensor/trainables.ts";
import type { GatedSite } from "./sites.ts";

export interface SiteChange extends GatedSite {
  /** By the names a snapshot keeps them under, behind `layer.{i}.{site}.`; in this order they are trained. */
  readonly variables: Readonly<Record<string, Variable>>;
  /** What multiplies the gate in `scale`: alpha/r, or 1. */
  readonly factor: number;
  /**
   * W' with the change in it, [out, in]; the caller disposes it. A scale of 0 gives W to the bit.
   * @param weight W, [out, in]
   * @param scale gate·strength·factor of each piece, [pieces]
   */
  form(weight: Tensor2D, scale: Tensor1D): Tensor2D;
  /**
   * Collects what one batch says, bare of the scale, which the update applies.
   * @param first index in `trainables` of the first variable; the others follow
   * @param weight W
   * @param mayBeOpen false when all of the site's gates are known to be closed: then only what the gates need
   */
  collect(
    trainables: Trainables,
    first: number,
    weight: Tensor2D,
    x: Tensor2D,
    dy: Tensor2D,
    mayBeOpen: boolean,
  ): void;
  /**
   * Where dL/dg is `factor`·<gradient, value> over a piece of one variable, which one, by its place; else a function
   * that gives dL/dg of each piece, [pieces], once the batch has ended.
   */
  readonly gateGradient: number | ((trainables: Trainables, first: number, weight: Tensor2D) => Tensor1D);
  /** ‖W' - W‖_F² of each piece with its gate open, [pieces]; the caller disposes it. */
  squared(weight: Tensor2D): Tensor1D;
}
