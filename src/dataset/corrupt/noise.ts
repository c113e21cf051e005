// Noise: of the sensor (Gaussian), of few photons (shot), of dead pixels (impulse). Each number of a pixel for itself.
import type { Random } from "../../random.ts";
import { type Field, mapField, normals } from "./field.ts";

export function gaussianNoise(field: Field, deviation: number, stream: Random): Field {
  const normal = normals(stream);
  return mapField(field, (value) => value + deviation * normal());
}

/** @param photons that white stands for */
export const shotNoise = (field: Field, photons: number, stream: Random): Field =>
  mapField(field, (value) => poisson(value * photons, stream) / photons);

/** @param share of the numbers that become 0 or 1 */
export const impulseNoise = (field: Field, share: number, stream: Random): Field =>
  mapField(field, (value) => (stream.next() < share ? (stream.next() < 0.5 ? 0 : 1) : value));

/** Knuth's way, good for the small means there are here. */
function poisson(mean: number, stream: Random): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = stream.next(); product > limit; product *= stream.next()) count++;
  return count;
}
