/** What stands in front of a message: its compressed flag and its length (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
export const messagePrefixBytes = 5;

/** Writes the prefix of a message of `length` bytes and answers where the message begins. */
export function writeMessagePrefix(out: Uint8Array, at: number, flag: 0 | 1, length: number): number {
  out[at] = flag;
  out[at + 1] = length >>> 24;
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 8;
  out[at + 4] = length;
  return at + messagePrefixBytes;
}
