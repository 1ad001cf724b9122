import type { Random } from "./random.ts";

/** One part of the server under hostile bytes. */
export interface Fuzzer {
  readonly name: string;
  /** No input is longer; short ones are many. */
  readonly maxBytes: number;
  /** Makes an input that is valid, or nearly so, so that it comes far. */
  make(random: Random): Uint8Array;
  /**
   * Runs an input and throws when a rule does not hold. Answers in a word or two what became of it; an input with an
   * answer that was never given before is worth changing further.
   */
  check(input: Uint8Array): string | Promise<string>;
}

/** A rule that did not hold. */
export class BrokenRule extends Error {
  override readonly name = "BrokenRule";
}

/** Throws a {@link BrokenRule} unless the rule holds. The text is made only then, because this runs very often. */
export function rule(holds: boolean, sentence: () => string): asserts holds {
  if (!holds) throw new BrokenRule(sentence());
}

/** Whether two pieces have the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}

/** A seed that belongs to an input, so that what is drawn while it runs is drawn again when it is run again. */
export function seedOf(input: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of input) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
