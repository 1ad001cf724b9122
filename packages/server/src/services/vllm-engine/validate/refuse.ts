import { GrpcStatusError } from "../../../rpc/status.ts";

/**
 * Ends a call because a field is wrong.
 *
 * @param range what would have been right, read after "must be".
 * @throws GrpcStatusError INVALID_ARGUMENT, always: `<field>: <problem>, got <value>; must be <range>`.
 */
export function refuse(field: string, problem: string, value: unknown, range: string): never {
  throw GrpcStatusError.of("INVALID_ARGUMENT", `${field}: ${problem}, got ${shown(value)}; must be ${range}`);
}

/** Ends a call because it asks for something that no engine of ours has: UNIMPLEMENTED. */
export function refuseUnimplemented(field: string, lacking: string): never {
  throw GrpcStatusError.of("UNIMPLEMENTED", `${field}: this engine has no ${lacking}`);
}

const longestText = 64;

/** A value to show as it stands, without the quotes of a text that came from outside: `100 tokens`. */
export function words(text: string): { toString(): string } {
  return { toString: () => text };
}

/** A value as a reader knows it: texts quoted and cut, 32-bit floats without the digits that their encoding adds. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "number") return String(Number.isInteger(value) ? value : Number(value.toPrecision(7)));
  if (typeof value !== "string") return String(value);
  const clipped = value.length > longestText ? `${value.slice(0, longestText)}…` : value;
  return JSON.stringify(clipped);
}

/** Refuses a value that is not finite or not within both bounds. */
export function requireWithin(field: string, value: number, min: number, max: number): void {
  if (Number.isFinite(value) && value >= min && value <= max) return;
  refuse(field, Number.isFinite(value) ? "out of range" : "not a finite number", value, `from ${min} to ${max}`);
}
