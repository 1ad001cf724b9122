import { createHash } from "node:crypto";

/**
 * A block's name: the first 64 bits, signed, of SHA-256 over its parent's name (8 bytes, little endian; zeros for none)
 * and its token ids (4 bytes each, little endian). The same prompt has the same names in every process.
 */
export function kvBlockHash(parentHash: bigint | undefined, tokenIds: readonly number[]): bigint {
  const bytes = Buffer.allocUnsafe(8 + 4 * tokenIds.length);
  bytes.writeBigInt64LE(parentHash ?? 0n, 0);
  for (const [i, tokenId] of tokenIds.entries()) bytes.writeUInt32LE(tokenId, 8 + 4 * i);
  return createHash("sha256").update(bytes).digest().readBigInt64LE(0);
}
