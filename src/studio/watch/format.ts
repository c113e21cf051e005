// Accuracies, their changes, scores and small quantities as a person reads them, the same wherever they stand.

/** Accuracy 0..1 as per cent with one decimal: "83.2%". */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** A change of accuracy in points with an explicit sign and a true minus: "+4.1", "−0.3", "0.0". */
export function pointsChange(change: number): string {
  const points = (change * 100).toFixed(1);
  if (Number(points) === 0) return "0.0";
  return change > 0 ? `+${points}` : `−${points.slice(1)}`;
}

/** The change between two accuracies as they are shown, so that what stands on the page adds up. */
export function shownChange(from: number, to: number): number {
  const shown = (share: number) => Math.round(Number((share * 100).toFixed(1)) * 10);
  return (shown(to) - shown(from)) / 1000;
}

/** Arrow that goes with `pointsChange`: what rounds to no change has none. */
export function changeArrow(change: number): "▲" | "▼" | "" {
  const points = Number((change * 100).toFixed(1));
  return points === 0 ? "" : points > 0 ? "▲" : "▼";
}

/** A score or a loss: three decimals, fewer when it is large. */
export function decimal(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = value.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
  return text.replace("-", "−");
}

/** A quantity that spans magnitudes: `digits` significant digits, "1.2e−5" when tiny. */
export function quantity(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return (size < 1e-4 || size >= 1e5 ? value.toExponential(1) : value.toPrecision(digits)).replace(/-/g, "−");
}
