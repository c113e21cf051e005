// k-NN on features: what a network knows without any classifier. Neighbours vote by how near they are, as DINO's
// evaluation has it (Caron et al. 2021, arXiv 2104.14294, after Wu et al. 2018, arXiv 1805.01978).
import * as tf from "@tensorflow/tfjs-core";
import { throwIfFaulty } from "../tensor/faults.ts";
import { linear } from "../tensor/linear.ts";
import { unitRowsOf } from "../tensor/unit_rows.ts";
import { nextTurn } from "../turn.ts";
import type { Answers } from "./types.ts";

/** Temperature of the vote. */
export const knnTemperature = 0.07;
/** Similarities read back at once. */
const SIMILARITIES = 2 ** 21;

/** The images whose answers are known. */
export interface Bank {
  /** Row-major [count, D]; not yet normalised. */
  features: Float32Array;
  labels: Int32Array;
}

export interface KnnOptions {
  /** Neighbours that vote; all of the bank where it holds fewer. */
  k: number;
  classes: number;
  /** Called with queries done and queries in all; may throw to cancel. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * The class of each query: its k nearest of the bank by cosine, each with the weight exp(cosine / 0.07) for its class.
 * The earlier of two equals is taken; the confidence is its share of the vote.
 * @param queries row-major [count, D], or null for the bank itself, each image judged by all others (leave-one-out)
 */
export async function nearestNeighbours(
  bank: Bank,
  queries: Float32Array | null,
  { k, classes, onProgress }: KnnOptions,
): Promise<Answers> {
  const size = bank.labels.length;
  if (size === 0) throw new Error("there is nothing to compare with");
  const width = bank.features.length / size;
  const known = unitRowsOf(bank.features, width);
  const asked = queries ? unitRowsOf(queries, width) : known;
  const count = asked.length / width;
  const rows = Math.max(1, Math.min(count, Math.floor(SIMILARITIES / size)));
  const predictions = new Int32Array(count);
  const confidence = new Float32Array(count);
  const onDevice = tf.tensor2d(known, [size, width]);
  try {
    for (let first = 0; first < count; first += rows) {
      onProgress?.(first, count);
      // The last chunk ends at the last query and repeats a few, so that every product has the same shape.
      const start = Math.min(first, count - rows);
      const part = tf.tensor2d(asked.subarray(start * width, (start + rows) * width), [rows, width]);
      const product = linear(part, onDevice, null);
      part.dispose();
      const similarities = (await product.data()) as Float32Array;
      product.dispose();
      throwIfFaulty();
      await nextTurn();
      for (let i = 0; i < rows; i++) {
        const row = similarities.subarray(i * size, (i + 1) * size);
        const votes = neighbourVotes(row, bank.labels, k, classes, queries ? -1 : start + i);
        const most = Math.max(...votes);
        predictions[start + i] = votes.indexOf(most);
        confidence[start + i] = most;
      }
    }
  } finally {
    onDevice.dispose();
  }
  onProgress?.(count, count);
  return { predictions, confidence, energy: null };
}

/**
 * Share of the vote of each class.
 * @param similarities cosine of one query to every image of the bank
 * @param self the query's own place in the bank, which has no vote; -1 where it is not in it
 */
export function neighbourVotes(
  similarities: Float32Array,
  labels: Int32Array,
  k: number,
  classes: number,
  self = -1,
): Float64Array {
  const nearest = largest(similarities, k, self);
  const votes = new Float64Array(classes);
  const top = similarities[nearest[0] as number] ?? 0;
  let total = 0;
  for (const index of nearest) {
    const weight = Math.exp(((similarities[index] as number) - top) / knnTemperature);
    votes[labels[index] as number] = (votes[labels[index] as number] as number) + weight;
    total += weight;
  }
  return total > 0 ? votes.map((vote) => vote / total) : votes;
}

/** Indices of the k largest values, the largest first; the earlier of two equals first. */
function largest(values: Float32Array, k: number, self: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (i === self) continue;
    const value = values[i] as number;
    if (found.length === k && value <= (values[found[k - 1] as number] as number)) continue;
    let low = 0;
    let high = found.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value > (values[found[middle] as number] as number)) high = middle;
      else low = middle + 1;
    }
    found.splice(low, 0, i);
    if (found.length > k) found.pop();
  }
  return found;
}
