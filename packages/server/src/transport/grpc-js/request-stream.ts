import { GrpcStatusError } from "../../rpc/status.ts";

/** Where a {@link RequestStream} gets its bytes from. */
export interface RequestSource {
  /** Asks for one message; it comes later as `message` or `halfClosed`. */
  startRead(): void;
  decode(bytes: Uint8Array): unknown;
}

/**
 * The client's half of a bidirectional call, pulled one message at a time, so that an unread one waits in the
 * transport and not here. For one reader.
 */
export class RequestStream implements AsyncIterableIterator<unknown> {
  readonly #source: RequestSource;
  #read: PromiseWithResolvers<IteratorResult<unknown>> | undefined;
  #halfClosed = false;
  #failure: GrpcStatusError | undefined;

  constructor(source: RequestSource) {
    this.#source = source;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#halfClosed) return Promise.resolve({ done: true, value: undefined });
    if (this.#read !== undefined) return Promise.reject(new Error("a read of this call's requests is still pending"));
    const read = Promise.withResolvers<IteratorResult<unknown>>();
    // The reader may have turned away when the call fails; its failure is told by the signal too.
    read.promise.catch(() => undefined);
    this.#read = read;
    this.#source.startRead();
    return read.promise;
  }

  message(bytes: Uint8Array): void {
    const read = this.#takeRead();
    try {
      read?.resolve({ done: false, value: this.#source.decode(bytes) });
    } catch (thrown) {
      this.#failure = thrown instanceof GrpcStatusError ? thrown : GrpcStatusError.of("INTERNAL", String(thrown));
      read?.reject(this.#failure);
    }
  }

  halfClosed(): void {
    if (this.#failure !== undefined) return;
    this.#halfClosed = true;
    this.#takeRead()?.resolve({ done: true, value: undefined });
  }

  /** A reader that has seen the half-close is not told: it has all there is. */
  fail(reason: GrpcStatusError): void {
    if (this.#halfClosed) return;
    this.#failure ??= reason;
    this.#takeRead()?.reject(this.#failure);
  }

  #takeRead(): PromiseWithResolvers<IteratorResult<unknown>> | undefined {
    const read = this.#read;
    this.#read = undefined;
    return read;
  }
}
