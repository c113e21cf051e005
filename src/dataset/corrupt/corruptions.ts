// Corruptions of pictures where nobody has images of another domain: those of ImageNet-C (Hendrycks and Dietterich
// 2019, arXiv 1903.12261) and shifts of style. They work on the prepared 8-bit pixels. What is drawn at
// random is drawn from the picture's own stream, so that the same picture is corrupted alike each time it is measured.
//
// Parameters are the published ones, for pictures of 224 pixels. For other sizes every length (radius, smear, flake,
// displacement) is scaled by the shorter edge / 224; amounts (noise, light, contrast), the share of pixelate and the
// quality of JPEG, whose blocks are always 8 pixels, are not.
import { random, seedFor } from "../../random.ts";
import type { RgbImage } from "../types.ts";
import { defocusBlur, glassBlur, motionBlur, zoomBlur } from "./blur.ts";
import { contrast, elastic, pixelate } from "./digital.ts";
import { type Field, fromField, toField } from "./field.ts";
import { jpeg } from "./jpeg.ts";
import { gaussianNoise, impulseNoise, shotNoise } from "./noise.ts";
import { drawing, greyscale, inverted, posterised } from "./style.ts";
import { brightness, fog, frost, snow } from "./weather.ts";

type Stream = ReturnType<typeof random>;
type Apply = (field: Field, scale: number, stream: Stream) => Field;
type Maker = (image: RgbImage, scale: number, stream: Stream) => RgbImage;

const onField =
  (apply: Apply): Maker =>
  (image, scale, stream) =>
    fromField(apply(toField(image), scale, stream));

/** A maker for each severity, 1 first. */
const published = <P>(parameters: readonly P[], apply: (parameter: P) => Apply): Maker[] =>
  parameters.map((parameter) => onField(apply(parameter)));

/** As NumPy's arange, which the published zooms are written in, down to its rounding: 1, 1.11, 0.01 ends at 1.11. */
const range = (from: number, to: number, step: number) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step);

/** By name; one maker alone stands for every severity. */
const makers: Record<string, readonly Maker[]> = {
  "gaussian-noise": published(
    [0.08, 0.12, 0.18, 0.26, 0.38],
    (by) => (field, _, stream) => gaussianNoise(field, by, stream),
  ),
  "shot-noise": published(
    [60, 25, 12, 5, 3],
    (photons) => (field, _, stream) => shotNoise(field, photons, stream),
  ),
  "impulse-noise": published(
    [0.03, 0.06, 0.09, 0.17, 0.27],
    (share) => (field, _, stream) => impulseNoise(field, share, stream),
  ),
  "defocus-blur": published(
    [3, 4, 6, 8, 10],
    (radius) => (field, scale) => defocusBlur(field, radius * scale),
  ),
  "glass-blur": published(
    [
      [0.7, 1, 2],
      [0.9, 2, 1],
      [1, 2, 3],
      [1.1, 3, 2],
      [1.5, 4, 2],
    ] as const,
    ([sigma, reach, rounds]) =>
      (field, scale, stream) =>
        glassBlur(field, sigma * scale, Math.max(1, Math.round(reach * scale)), rounds, stream),
  ),
  "motion-blur": published(
    [
      [10, 3],
      [15, 5],
      [15, 8],
      [15, 12],
      [20, 15],
    ] as const,
    ([radius, sigma]) =>
      (field, scale, stream) =>
        motionBlur(field, 2 * radius, sigma, (Math.PI / 2) * (stream.next() - 0.5), scale),
  ),
  "zoom-blur": published(
    [
      range(1, 1.11, 0.01),
      range(1, 1.16, 0.01),
      range(1, 1.21, 0.02),
      range(1, 1.26, 0.02),
      range(1, 1.31, 0.03),
    ],
    (zooms) => (field) => zoomBlur(field, zooms),
  ),
  snow: published(
    [
      [0.1, 0.3, 3, 0.5, 10, 4, 0.8],
      [0.2, 0.3, 2, 0.5, 12, 4, 0.7],
      [0.55, 0.3, 4, 0.9, 12, 8, 0.7],
      [0.55, 0.3, 4.5, 0.85, 12, 8, 0.65],
      [0.55, 0.3, 2.5, 0.85, 12, 12, 0.55],
    ] as const,
    ([mean, deviation, flake, threshold, length, sigma, kept]) =>
      (field, scale, stream) =>
        snow(field, { mean, deviation, flake, threshold, length, sigma, kept }, scale, stream),
  ),
  frost: published(
    [
      [1, 0.4],
      [0.8, 0.6],
      [0.7, 0.7],
      [0.65, 0.7],
      [0.6, 0.75],
    ] as const,
    ([kept, amount]) =>
      (field, scale, stream) =>
        frost(field, kept, amount, scale, stream),
  ),
  fog: published(
    [
      [1.5, 2],
      [2, 2],
      [2.5, 1.7],
      [2.5, 1.5],
      [3, 1.4],
    ] as const,
    ([amount, decay]) =>
      (field, _, stream) =>
        fog(field, amount, decay, stream),
  ),
  brightness: published([0.1, 0.2, 0.3, 0.4, 0.5], (by) => (field) => brightness(field, by)),
  contrast: published([0.4, 0.3, 0.2, 0.1, 0.05], (kept) => (field) => contrast(field, kept)),
  elastic: published(
    [12.5, 16.25, 21.25, 25, 30],
    (alpha) => (field, scale, stream) => elastic(field, 1.12 * scale, 2.24 * scale, alpha, stream),
  ),
  pixelate: [0.6, 0.5, 0.4, 0.3, 0.25].map((share) => (image: RgbImage) => pixelate(image, share)),
  jpeg: [25, 18, 15, 10, 7].map((quality) => (image: RgbImage) => jpeg(image, quality)),
  greyscale: [onField(greyscale)],
  inverted: [onField(inverted)],
  posterised: [onField((field) => posterised(field, 4))],
  drawing: [onField((field, scale) => drawing(field, 1.5 * scale))],
};

/**
 * Corrupts a picture; the one given stays as it is.
 * @param severity 1 to 5
 * @param key what the picture is known by, e.g. its path: equal keys give equal pixels
 */
export function corrupt(image: RgbImage, name: string, severity: number, key: string): RgbImage {
  const known = makers[name] ?? [];
  const maker = known.length === 1 ? known[0] : known[severity - 1];
  if (!maker) throw new RangeError(`there is no corruption ${name} of severity ${severity}`);
  const stream = random(seedFor(severity, `${name} ${key}`));
  return maker(image, Math.min(image.width, image.height) / 224, stream);
}
