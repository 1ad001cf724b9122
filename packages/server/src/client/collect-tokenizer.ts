import { createHash } from "node:crypto";
import type { GetTokenizerChunk } from "../generated/common.ts";

/** Largest archive that is taken from a server. */
export const maxArchiveBytes: number = 200 * 1024 * 1024;

/** What a server sent as its tokenizer cannot be used; the message is a sentence. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}

/**
 * Puts the chunks of GetTokenizer together and checks the SHA-256 that stands on the last one (common.proto,
 * GetTokenizerChunk). Throws {@link TokenizerError} when the archive is larger than `maxBytes`, is empty, or is not
 * what the sum says; a call that fails throws what the stream throws.
 */
export async function collectTokenizer(
  chunks: AsyncIterable<GetTokenizerChunk>,
  maxBytes: number = maxArchiveBytes,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let expected = "";
  for await (const chunk of chunks) {
    sizeBytes += chunk.data.length;
    if (sizeBytes > maxBytes) {
      throw new TokenizerError(`The server's tokenizer archive is larger than ${maxBytes} bytes.`);
    }
    // An empty part would cost memory that the size does not count.
    if (chunk.data.length > 0) parts.push(chunk.data);
    hash.update(chunk.data);
    expected = chunk.sha256;
  }
  if (sizeBytes === 0) throw new TokenizerError("The server sent an empty tokenizer archive.");
  const found = hash.digest("hex");
  if (expected.toLowerCase() !== found) {
    throw new TokenizerError(
      `The server's tokenizer archive has SHA-256 ${found}, but its last chunk says ${JSON.stringify(expected.slice(0, 80))}.`,
    );
  }
  return Buffer.concat(parts, sizeBytes);
}
