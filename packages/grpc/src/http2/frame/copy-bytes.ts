/** Up to here a loop is faster than a call into native code. */
const maxLoopBytes = 64;

/** Copies the first `length` bytes to `at` and answers the place behind them. A token's bytes do not pay for a native call. */
export function copyBytes(from: Uint8Array, length: number, to: Uint8Array, at: number): number {
  if (length > maxLoopBytes) to.set(from.length === length ? from : from.subarray(0, length), at);
  else for (let i = 0; i < length; i += 1) to[at + i] = from[i] as number;
  return at + length;
}
