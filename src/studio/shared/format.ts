// Numbers as the studio writes them.

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 12,345 */
export const formatCount = (n: number): string => grouped.format(n);

/** 5.6 M, 86 k, 950: at most three figures. */
export function formatShort(n: number): string {
  if (n >= 999_500) return `${(n / 1e6).toPrecision(3)} M`;
  if (n >= 1000) return `${Number((n / 1e3).toPrecision(3))} k`;
  return String(n);
}

/** Bytes in the units that memory is sold in (1 MB = 1024² bytes). */
export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 8 s, 3 min 20 s, 1 h 05 min. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "";
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** images/s with two figures below ten. */
export const formatRate = (rate: number): string => (rate < 10 ? rate.toFixed(1) : formatCount(rate));

export const plural = (n: number, one: string, many = `${one}s`): string =>
  `${formatCount(n)} ${n === 1 ? one : many}`;
