/** A limit as documents write it: sizes in KiB and MiB, times in seconds and minutes. */
export function limitText(name: string, value: number | boolean | undefined): string {
  if (value === Number.POSITIVE_INFINITY) return "none";
  if (typeof value !== "number") return String(value);
  if (name.endsWith("Bytes")) {
    if (value % (1024 * 1024) === 0) return `${value / (1024 * 1024)} MiB`;
    return value % 1024 === 0 ? `${value / 1024} KiB` : `${value} bytes`;
  }
  if (name.endsWith("Ms"))
    return value % 60_000 === 0 && value > 60_000 ? `${value / 60_000} min` : `${value / 1000} s`;
  return value.toLocaleString("en");
}
