import type { PushedCall, ServerStreamingCall } from "./call.ts";
import type { RequestMetadata } from "./metadata.ts";
import type { ServerPushHandler, ServerStreamingHandler } from "./service.ts";
import type { MetadataValue } from "./status.ts";

/** The handler as one that answers a promise of the stream's end, for those who wait for that. */
export function promised(handler: ServerPushHandler<unknown, unknown>): ServerStreamingHandler<unknown, unknown> {
  return (request, call) => {
    const pushed = new PromisedPush(call);
    handler(request, pushed);
    return pushed.ended;
  };
}

/** A call whose ends settle a promise. All else is the call's. */
class PromisedPush implements PushedCall<unknown> {
  readonly ended: Promise<void>;
  readonly end: () => void;
  readonly fail: (error: unknown) => void;
  readonly #call: ServerStreamingCall<unknown>;

  constructor(call: ServerStreamingCall<unknown>) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#call = call;
    this.ended = promise;
    this.end = resolve;
    this.fail = reject;
    // Its status is settled then, and who pushes need not say anything more.
    call.onCancelled(resolve);
  }

  get path(): string {
    return this.#call.path;
  }

  get peer(): string {
    return this.#call.peer;
  }

  get metadata(): RequestMetadata {
    return this.#call.metadata;
  }

  get deadlineMs(): number | undefined {
    return this.#call.deadlineMs;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  onCancelled(listener: () => void): void {
    this.#call.onCancelled(listener);
  }

  setHeader(key: string, value: MetadataValue | readonly MetadataValue[]): void {
    this.#call.setHeader(key, value);
  }

  sendHeaders(): void {
    this.#call.sendHeaders();
  }

  setTrailer(key: string, value: MetadataValue | readonly MetadataValue[]): void {
    this.#call.setTrailer(key, value);
  }

  compress(): void {
    this.#call.compress();
  }

  write(message: unknown): boolean {
    return this.#call.write(message);
  }

  drained(): Promise<void> {
    return this.#call.drained();
  }
}
