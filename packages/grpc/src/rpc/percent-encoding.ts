/** A client's limit for all trailers may be 8 KiB (gRPC C core), so that a sentence takes half of it at most. */
const maxEncodedBytes = 4096;
const plain = /^[ -$&-~]*$/;

/**
 * Writes a status sentence for `grpc-message` (grpc/grpc, doc/PROTOCOL-HTTP2.md, "Percent-Encoded"): UTF-8, where
 * bytes outside of space to `~`, and `%` itself, stand as `%XX`. Lone surrogates become U+FFFD; what passes 4,096
 * bytes is cut off between two characters and an ellipsis put there.
 */
export function percentEncode(text: string): string {
  if (text.length <= maxEncodedBytes && plain.test(text)) return text;
  let encoded = "";
  for (const character of text.toWellFormed()) {
    const next = plain.test(character) ? character : encodeCharacter(character);
    if (encoded.length + next.length > maxEncodedBytes - ellipsis.length) return encoded + ellipsis;
    encoded += next;
  }
  return encoded;
}

function encodeCharacter(character: string): string {
  let encoded = "";
  for (const byte of Buffer.from(character, "utf8")) encoded += `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
}

const ellipsis = encodeCharacter("…");
