/** A field block cannot be decoded. The connection's table is lost with it: COMPRESSION_ERROR (RFC 9113 section 4.3). */
export class HpackError extends Error {
  override readonly name = "HpackError";
}
