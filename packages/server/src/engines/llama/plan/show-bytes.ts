const units = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size for a sentence: `512 MiB`, `1.5 GiB`. */
export function showBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
