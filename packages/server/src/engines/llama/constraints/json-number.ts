import { codePointSet } from "./code-points.ts";
import { ConstraintError } from "./constraint-error.ts";
import { alternatives, EMPTY, type GbnfNode, literal, oneOf, repeat, sequence } from "./gbnf.ts";
import { MAX_FRACTION_DIGITS, MAX_INTEGER_DIGITS } from "./json-grammar.ts";

/** Limits of a number as a schema states them. */
export interface NumberLimits {
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
  readonly exclusiveMinimum: number | undefined;
  readonly exclusiveMaximum: number | undefined;
}

/** A limit of a magnitude (0 or more), as decimal digits. */
interface Limit {
  readonly integer: bigint;
  /** Digits after the point, without zeros at the end. */
  readonly fraction: string;
  readonly exclusive: boolean;
}

const LARGEST = 10n ** BigInt(MAX_INTEGER_DIGITS) - 1n;

/**
 * The integers within the limits, exactly, up to `MAX_INTEGER_DIGITS` digits. A node without references. Throws
 * `ConstraintError` where there are none.
 */
export function integerRange(limits: NumberLimits): GbnfNode {
  let low = -LARGEST;
  let high = LARGEST;
  for (const [limit, isLower] of givenLimits(limits)) {
    const { integer, fraction, exclusive, negative } = limit;
    const floor = negative ? -integer - (fraction === "" ? 0n : 1n) : integer;
    const ceiling = negative ? -integer : integer + (fraction === "" ? 0n : 1n);
    const step = exclusive && fraction === "" ? 1n : 0n;
    if (isLower) low = larger(low, ceiling + step);
    else high = -larger(-high, -(floor - step));
  }
  if (low > high) throw new ConstraintError("has limits that no integer satisfies");
  const options: GbnfNode[] = [];
  if (low < 0n) options.push(sequence([literal("-"), between(larger(1n, -high), -low)]));
  if (high >= 0n) options.push(between(larger(0n, low), high));
  return alternatives(options);
}

/**
 * The numbers within the limits, in plain decimal notation: no exponent, at most `MAX_INTEGER_DIGITS` digits before and
 * `MAX_FRACTION_DIGITS` after the point. A node without references. Throws `ConstraintError` where there are none.
 */
export function numberRange(limits: NumberLimits): GbnfNode {
  let low: SignedLimit | undefined;
  let high: SignedLimit | undefined;
  // Exclusive limits come last, and of two equal ones the exclusive one is narrower.
  for (const [limit, isLower] of givenLimits(limits)) {
    if (isLower && (low === undefined || compare(limit, low) >= 0)) low = limit;
    if (!isLower && (high === undefined || compare(limit, high) <= 0)) high = limit;
  }
  const zero: Limit = { integer: 0n, fraction: "", exclusive: false };
  const options: GbnfNode[] = [];
  if (low === undefined || low.negative) {
    const magnitudes = decimals(high?.negative ? high : { ...zero, exclusive: true }, low);
    if (magnitudes !== undefined) options.push(sequence([literal("-"), magnitudes]));
  }
  if (high === undefined || !high.negative) {
    const magnitudes = decimals(low === undefined || low.negative ? zero : low, high);
    if (magnitudes !== undefined) options.push(magnitudes);
  }
  if (options.length === 0) throw new ConstraintError("has limits that no number satisfies");
  return alternatives(options);
}

interface SignedLimit extends Limit {
  readonly negative: boolean;
}

function* givenLimits(limits: NumberLimits): Iterable<readonly [limit: SignedLimit, isLower: boolean]> {
  for (const [value, isLower, exclusive] of [
    [limits.minimum, true, false],
    [limits.exclusiveMinimum, true, true],
    [limits.maximum, false, false],
    [limits.exclusiveMaximum, false, true],
  ] as const) {
    if (value === undefined) continue;
    const tooFar = Math.abs(value) >= Number(LARGEST);
    if (tooFar && value > 0 === isLower) {
      throw new ConstraintError(
        `has the limit ${value}, beyond which there is nothing with ${MAX_INTEGER_DIGITS} digits`,
      );
    }
    if (!tooFar) yield [{ ...decimal(value, isLower), exclusive }, isLower];
  }
}

/** The decimal digits of a limit. JSON.parse rounds integers above 2^53, so those are moved inwards by that error. */
function decimal(value: number, isLower: boolean): Omit<SignedLimit, "exclusive"> {
  const negative = value < 0;
  const magnitude = Math.abs(value);
  if (magnitude > Number.MAX_SAFE_INTEGER) {
    const shrinks = negative === isLower;
    const moved = Math.trunc(magnitude * (shrinks ? 1 - 2 ** -51 : 1 + 2 ** -51));
    return { negative, integer: BigInt(moved), fraction: "" };
  }
  const [mantissa = "0", exponent = "0"] = String(magnitude).split("e");
  const [whole = "0", part = ""] = mantissa.split(".");
  const zeros = "0".repeat(Math.max(0, -Number(exponent)));
  const fraction = exponent === "0" ? part : `${zeros}${whole}${part}`.slice(1);
  if (fraction.length > MAX_FRACTION_DIGITS) {
    throw new ConstraintError(
      `has the limit ${value}, which has more than ${MAX_FRACTION_DIGITS} digits after the point`,
    );
  }
  return { negative, integer: exponent === "0" ? BigInt(whole) : 0n, fraction };
}

function compare(left: SignedLimit, right: SignedLimit): number {
  const scaled = ({ negative, integer, fraction }: SignedLimit): bigint => {
    const digits = BigInt(`${integer}${fraction.padEnd(MAX_FRACTION_DIGITS, "0")}`);
    return negative ? -digits : digits;
  };
  const [a, b] = [scaled(left), scaled(right)];
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Magnitudes from `low` to `high`, with an optional fraction. Undefined where there are none. */
function decimals(low: Limit, high: Limit | undefined): GbnfNode | undefined {
  const options: GbnfNode[] = [];
  const add = (integers: GbnfNode, fraction: GbnfNode | undefined): void => {
    if (fraction !== undefined) options.push(sequence([integers, fraction]));
  };
  const last = high?.integer ?? LARGEST;
  if (low.integer > last) return undefined;
  const one = literal(String(low.integer));
  if (high !== undefined && low.integer === high.integer) {
    add(one, fractionNode({ ...low, digits: low.fraction }, { ...high, digits: high.fraction }));
  } else {
    add(one, fractionNode({ ...low, digits: low.fraction }, undefined));
    const from = low.integer + 1n;
    const to = high === undefined ? last : last - 1n;
    if (from <= to) add(between(from, to), fractionNode(undefined, undefined));
    if (high !== undefined) add(literal(String(last)), fractionNode(undefined, { ...high, digits: high.fraction }));
  }
  return options.length === 0 ? undefined : alternatives(options);
}

interface FractionLimit {
  readonly digits: string;
  readonly exclusive: boolean;
}

/** A point and digits within the limits, or nothing where 0 is within them. Undefined where there are none. */
function fractionNode(low: FractionLimit | undefined, high: FractionLimit | undefined): GbnfNode | undefined {
  const more = nextDigits(low, high, MAX_FRACTION_DIGITS);
  const options = more.map((option) => sequence([literal("."), option]));
  if (zeroFits(low, high)) options.push(EMPTY);
  return options.length === 0 ? undefined : alternatives(options);
}

/** The ways to go on with at least one of at most `left` digits. */
function nextDigits(low: FractionLimit | undefined, high: FractionLimit | undefined, left: number): GbnfNode[] {
  if (left === 0) return [];
  const options: GbnfNode[] = [];
  const free: [number, number][] = [];
  for (let digit = 0; digit <= 9; digit++) {
    const lowDigit = low === undefined ? -1 : Number(low.digits[0] ?? "0");
    const highDigit = high === undefined ? 10 : Number(high.digits[0] ?? "0");
    if (digit < lowDigit || digit > highDigit) continue;
    const nextLow = low !== undefined && digit === lowDigit ? rest(low) : undefined;
    const nextHigh = high !== undefined && digit === highDigit ? { ...high, digits: high.digits.slice(1) } : undefined;
    if (nextLow === undefined && nextHigh === undefined) {
      free.push([0x30 + digit, 0x30 + digit]);
      continue;
    }
    const following = nextDigits(nextLow, nextHigh, left - 1);
    if (zeroFits(nextLow, nextHigh)) following.push(EMPTY);
    if (following.length > 0) options.push(sequence([literal(String(digit)), alternatives(following)]));
  }
  if (free.length > 0) options.push(sequence([oneOf(codePointSet(free)), repeat(digitNode(0, 9), 0, left - 1)]));
  return options;
}

/** What is left of a lower limit after its first digit was written. An inclusive limit without digits is none. */
function rest(low: FractionLimit): FractionLimit | undefined {
  const digits = low.digits.slice(1);
  return digits === "" && !low.exclusive ? undefined : { ...low, digits };
}

function zeroFits(low: FractionLimit | undefined, high: FractionLimit | undefined): boolean {
  const aboveLow = low === undefined || (/^0*$/.test(low.digits) && !low.exclusive);
  return aboveLow && (high === undefined || !/^0*$/.test(high.digits) || !high.exclusive);
}

/** The integers from `low` to `high`, both 0 or more, without zeros in front. */
function between(low: bigint, high: bigint): GbnfNode {
  const options: GbnfNode[] = [];
  const highDigits = String(high).length;
  for (let digits = String(low).length; digits <= highDigits; digits++) {
    const smallest = digits === 1 ? 0n : 10n ** BigInt(digits - 1);
    const from = larger(low, smallest);
    const to = -larger(-high, -(10n ** BigInt(digits) - 1n));
    options.push(sameLength(String(from), String(to)));
  }
  return alternatives(options);
}

function sameLength(from: string, to: string): GbnfNode {
  if (from === "") return EMPTY;
  if (/^0*$/.test(from) && /^9*$/.test(to)) return repeat(digitNode(0, 9), from.length, from.length);
  const [first, last] = [Number(from[0]), Number(to[0])];
  const [fromRest, toRest] = [from.slice(1), to.slice(1)];
  if (first === last) return sequence([literal(String(first)), sameLength(fromRest, toRest)]);
  const options = [sequence([literal(String(first)), sameLength(fromRest, "9".repeat(toRest.length))])];
  if (first + 1 < last) {
    options.push(sequence([digitNode(first + 1, last - 1), repeat(digitNode(0, 9), toRest.length, toRest.length)]));
  }
  options.push(sequence([literal(String(last)), sameLength("0".repeat(fromRest.length), toRest)]));
  return alternatives(options);
}

function digitNode(from: number, to: number): GbnfNode {
  return oneOf(codePointSet([[0x30 + from, 0x30 + to]]));
}

function larger(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}
