/** A message that is longer than its reader takes. */
export class MessageTooLongError extends Error {
  override readonly name = "MessageTooLongError";
}

/**
 * Cuts a stream of bytes into framed messages, each with its five bytes of prefix (grpc/grpc, doc/PROTOCOL-HTTP2.md,
 * "Length-Prefixed-Message"). Holds at most one message; throws {@link MessageTooLongError} as soon as a prefix announces
 * more than `maxBytes`.
 */
export class MessageStream {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (end > this.#maxBytes) throw new MessageTooLongError(`A message of ${end} bytes, at most ${this.#maxBytes}`);
      if (this.#rest.length < end) return;
      const message = this.#rest.subarray(0, end);
      this.#rest = this.#rest.subarray(end);
      yield message;
    }
  }
}
