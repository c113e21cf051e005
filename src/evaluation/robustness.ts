// Effective robustness (Taori et al. 2020, arXiv 2007.00644): accuracy on an OOD set beyond what accuracy on the target
// would let one expect, rho = acc_OOD - beta(acc_ID). Beta is a line through logit-transformed accuracies of reference
// models. Here these are the model before and the path of WiSE-FT to the model after, so beta holds for this one
// network near this one path, and not for networks in general.

/** Accuracies of one model; counts keep the logits of 0 and 1 finite. */
export interface RobustnessPoint {
  id: number;
  ood: number;
}

export interface Robustness {
  /** Accuracy beyond the line, 0.01 being a point; null where the line cannot be drawn. */
  effective: number | null;
  /** Change of OOD accuracy since before (tau); needs no line. */
  relative: number;
  /** The line in logits, logit(ood) = slope * logit(id) + intercept; null where there is none. */
  line: { slope: number; intercept: number } | null;
}

/** Fewest reference models through which a line is drawn. */
export const fewestReferences = 3;

/** logit of an accuracy on `count` images; 0 and 1 are taken as half an image away from them. */
export function accuracyLogit(accuracy: number, count: number): number {
  const half = 0.5 / count;
  const p = Math.min(1 - half, Math.max(half, accuracy));
  return Math.log(p / (1 - p));
}

/**
 * @param before the base, from which the relative robustness is counted
 * @param references models that beta is fitted to, the base among them; without the one that is judged
 * @param counts images of the target and of the OOD set
 */
export function robustnessOf(
  before: RobustnessPoint,
  after: RobustnessPoint,
  references: readonly RobustnessPoint[],
  counts: { id: number; ood: number },
): Robustness {
  const relative = after.ood - before.ood;
  const x = references.map(({ id }) => accuracyLogit(id, counts.id));
  const y = references.map(({ ood }) => accuracyLogit(ood, counts.ood));
  const line = x.length < fewestReferences ? null : leastSquares(x, y);
  if (!line) return { effective: null, relative, line: null };
  const expected = line.slope * accuracyLogit(after.id, counts.id) + line.intercept;
  return { effective: after.ood - 1 / (1 + Math.exp(-expected)), relative, line };
}

/** The line of least squares; null where x does not vary. */
function leastSquares(
  x: readonly number[],
  y: readonly number[],
): { slope: number; intercept: number } | null {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [mx, my] = [mean(x), mean(y)];
  const spread = x.reduce((sum, value) => sum + (value - mx) ** 2, 0);
  if (spread < 1e-12) return null;
  const slope = x.reduce((sum, value, i) => sum + (value - mx) * ((y[i] as number) - my), 0) / spread;
  return { slope, intercept: my - slope * mx };
}
