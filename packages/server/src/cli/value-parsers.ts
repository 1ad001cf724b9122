import { UsageError } from "./usage-error.ts";

/**
 * Turns the text of a flag or of an environment variable into a value. `source` is how the user wrote it (`--port`,
 * `TOKENWIRE_PORT`) and stands in the {@link UsageError} that a bad text throws.
 */
export type ValueParser<T> = (source: string, text: string) => T;

export interface Range {
  readonly from: number;
  readonly to: number;
}

function fail(source: string, text: string, wanted: string): never {
  throw new UsageError(`${source} must be ${wanted}, not ${JSON.stringify(shortened(text))}.`);
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

/** A whole number in decimal digits, both ends of the range included. */
export function integer(range: Range): ValueParser<number> {
  return (source, text) => {
    const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    return inRange(value, range) ? value : fail(source, text, `a whole number from ${range.from} to ${range.to}`);
  };
}

/** A decimal number (`1`, `0.5`, `1e-3`), both ends of the range included. */
export function decimal(range: Range): ValueParser<number> {
  return (source, text) => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(text) ? Number(text) : Number.NaN;
    return inRange(value, range) ? value : fail(source, text, `a number from ${range.from} to ${range.to}`);
  };
}

function inRange(value: number, range: Range): boolean {
  return value >= range.from && value <= range.to;
}

const scales = new Map(
  ["k", "m", "g", "t"].flatMap((letter, index) => [
    [letter, 1000 ** (index + 1)] as const,
    [letter.toUpperCase(), 1024 ** (index + 1)] as const,
  ]),
);

/**
 * A whole number that may end in k, m, g, t (powers of 1000) or K, M, G, T (powers of 1024), the way vLLM reads
 * `--max-model-len` and `--kv-cache-memory-bytes`: `8k` is 8000, `8K` is 8192, `1.5k` is 1500.
 */
export function scaledInteger(range: Range): ValueParser<number> {
  return (source, text) => {
    const match = /^(\d{1,16}|\d{1,9}\.\d{1,9}(?=[kmgt]$))([kmgtKMGT]?)$/.exec(text);
    const value = match === null ? Number.NaN : Number(match[1]) * (scales.get(match[2] ?? "") ?? 1);
    return Number.isInteger(value) && inRange(value, range)
      ? value
      : fail(source, text, `a whole number from ${range.from} to ${range.to} (8k is 8000, 8K is 8192)`);
  };
}

/** Seconds, as a decimal number; answers milliseconds. The range is in seconds. */
export function seconds(range: Range): ValueParser<number> {
  const parse = decimal(range);
  return (source, text) => {
    try {
      return Math.round(parse(source, text) * 1000);
    } catch {
      return fail(source, text, `a number of seconds from ${range.from} to ${range.to}`);
    }
  };
}

const durationUnitsMs = new Map([
  ["us", 0.001],
  ["µs", 0.001],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/**
 * A duration as Go writes them, which is how grpc_health_probe's flags are given: `1s`, `500ms`, `1m30s`. Answers
 * milliseconds, at least 1 and at most 24 hours.
 */
export const duration: ValueParser<number> = (source, text) => {
  let totalMs = 0;
  const rest = text.replaceAll(/(\d{1,9}(?:\.\d{1,9})?)(us|µs|ms|s|m|h)/g, (_, amount: string, unit: string) => {
    totalMs += Number(amount) * (durationUnitsMs.get(unit) ?? 0);
    return "";
  });
  const valid = text !== "" && rest === "" && totalMs > 0 && totalMs <= 24 * 3_600_000;
  return valid ? Math.max(1, Math.round(totalMs)) : fail(source, text, "a duration above 0, like 1s or 500ms");
};

/** Any text but the empty one and one with control characters in it. */
export const text: ValueParser<string> = (source, value) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the purpose.
  value !== "" && !/[\u0000-\u001f\u007f]/.test(value) ? value : fail(source, value, "a text of visible characters");

/** Any text, the empty one and line ends included. */
export const anyText: ValueParser<string> = (_source, value) => value;

export function oneOf<const T extends string>(choices: readonly T[]): ValueParser<T> {
  return (source, value) => choices.find((choice) => choice === value) ?? fail(source, value, listed(choices));
}

function listed(choices: readonly string[]): string {
  return choices.length === 1 ? `${choices[0]}` : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
}

/** What an environment variable of an on/off flag may hold. */
export const onOff: ValueParser<boolean> = (source, value) => {
  const word = value.toLowerCase();
  if (["1", "true", "yes", "on"].includes(word)) return true;
  if (["", "0", "false", "no", "off"].includes(word)) return false;
  return fail(source, value, "true or false");
};

/** Where a client finds the server. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `:port` (localhost), `[::1]:port`. */
export const serverAddress: ValueParser<ServerAddress> = (source, value) => {
  const match = /^(?:\[([0-9a-fA-F:.%]{2,64})\]|([^\s:/[\]]{0,253})):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65535) {
    return fail(source, value, "host:port, like localhost:50051 or [::1]:50051");
  }
  return { host: match[1] ?? (match[2] || "localhost"), port };
};

/** Writes an address the way {@link serverAddress} reads it. */
export function formatAddress(address: ServerAddress): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
