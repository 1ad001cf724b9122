/** The requests of a streaming call, pulled one at a time by one reader. */
export class RequestStream implements AsyncIterableIterator<unknown> {
  readonly #pull: () => void;
  #read: PromiseWithResolvers<IteratorResult<unknown>> | undefined;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;

  /** `pull` is called when a message is wanted. */
  constructor(pull: () => void) {
    this.#pull = pull;
  }

  /** True while a reader waits. */
  get isRead(): boolean {
    return this.#read !== undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    if (this.#read !== undefined) return Promise.reject(new Error("a read of this call's requests is still pending"));
    const read = Promise.withResolvers<IteratorResult<unknown>>();
    // The reader may have turned away when the call fails; its failure is told by the signal too.
    read.promise.catch(() => undefined);
    this.#read = read;
    this.#pull();
    return read.promise;
  }

  /** The reader stops early: what still comes is not wanted. */
  return(): Promise<IteratorResult<unknown>> {
    this.#ended = true;
    return Promise.resolve({ done: true, value: undefined });
  }

  message(value: unknown): void {
    this.#takeRead()?.resolve({ done: false, value });
  }

  end(): void {
    if (this.#failure !== undefined) return;
    this.#ended = true;
    this.#takeRead()?.resolve({ done: true, value: undefined });
  }

  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#failure ??= { reason };
    this.#takeRead()?.reject(this.#failure.reason);
  }

  #takeRead(): PromiseWithResolvers<IteratorResult<unknown>> | undefined {
    const read = this.#read;
    this.#read = undefined;
    return read;
  }
}
