/** Bytes that {@link writeInteger} needs at most for 32-bit values. */
export const maxIntegerBytes = 6;

/**
 * Writes an integer with a prefix of `prefixBits` (RFC 7541 section 5.1); `pattern` fills the bits before the prefix.
 * Values are at most 2^31-1. Answers where the next byte goes.
 */
export function writeInteger(out: Uint8Array, at: number, value: number, prefixBits: number, pattern: number): number {
  const largest = (1 << prefixBits) - 1;
  if (value < largest) {
    out[at] = pattern | value;
    return at + 1;
  }
  out[at] = pattern | largest;
  let end = at + 1;
  let rest = value - largest;
  while (rest > 127) {
    out[end] = (rest & 127) | 128;
    end += 1;
    rest >>>= 7;
  }
  out[end] = rest;
  return end + 1;
}
