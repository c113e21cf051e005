// Numbers as a person reads them. One place, so that a score looks the same wherever it stands.

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

/** 1234567 as "1,234,567". */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** Bytes as B, kB, MB or GB (powers of 1000, as file managers count). */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(value < 9.95 ? 1 : 0)} ${units[unit]}`;
}
