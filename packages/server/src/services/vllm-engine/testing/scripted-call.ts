import type { ServerStreamingCall } from "../../../rpc/call.ts";
import { GrpcStatusError } from "../../../rpc/status.ts";

/** A call without a transport: it keeps what a handler writes, and a test plays the client's pace and end. */
export class ScriptedCall<Response> implements ServerStreamingCall<Response> {
  readonly path = "/vllm.grpc.engine.VllmEngine/Test";
  readonly peer = "";
  readonly metadata: { get(key: string): string | undefined } = { get: () => undefined };
  readonly deadlineMs = undefined;
  readonly written: Response[] = [];
  readonly trailers: Record<string, string> = {};
  readonly #end = new AbortController();
  #waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  #drainWaiters: (() => void)[] = [];
  /** Messages that may be written before write answers false. */
  #room = Number.POSITIVE_INFINITY;

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  sendHeaders(): void {}

  setTrailer(key: string, value: string): void {
    this.trailers[key] = value;
  }

  write(message: Response): boolean {
    if (this.signal.aborted) return false;
    this.written.push(message);
    this.#room -= 1;
    for (const { count, resolve } of this.#waiters) if (this.written.length >= count) resolve();
    return this.#room > 0;
  }

  drained(): Promise<void> {
    if (this.#room > 0 || this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** The client reads so many more messages and then stops; resolves after the handler has gone on. */
  async read(messages: number): Promise<void> {
    this.#room = messages;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
    await Promise.resolve();
    await Promise.resolve();
  }

  /** Resolves when so many messages were written. */
  async count(messages: number): Promise<void> {
    if (this.written.length >= messages) return;
    await new Promise<void>((resolve) => this.#waiters.push({ count: messages, resolve }));
  }

  /** The client goes away. */
  cancel(reason: GrpcStatusError = GrpcStatusError.of("CANCELLED", "the client cancelled")): void {
    this.#end.abort(reason);
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
