/** Past this many messages on their way to the socket a writer is asked to wait: each costs about 1 KB inside Node. */
const maxUnflushedMessages = 64;
/** Past this many bytes on their way to the socket a writer is asked to wait: the initial HTTP/2 window. */
const maxUnflushedBytes = 65_536;

/** Counts what was written and not yet flushed, and wakes the writer when half of the room is free again. */
export class WriteWindow {
  #messages = 0;
  #bytes = 0;
  #waiting: PromiseWithResolvers<void> | undefined;
  #closed = false;

  get open(): boolean {
    return !this.#closed && this.#messages < maxUnflushedMessages && this.#bytes < maxUnflushedBytes;
  }

  written(bytes: number): void {
    this.#messages += 1;
    this.#bytes += bytes;
  }

  flushed(bytes: number): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
    if (this.#messages <= maxUnflushedMessages / 2 && this.#bytes <= maxUnflushedBytes / 2) this.#wake();
  }

  /** Resolves when there is room, or when the window is closed. All callers share one promise. */
  drained(): Promise<void> {
    if (this.#closed || this.open) return Promise.resolve();
    this.#waiting ??= Promise.withResolvers<void>();
    return this.#waiting.promise;
  }

  /** Nothing is written any more: whoever waits goes on. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}
