import type { Call } from "./call.ts";
import type { Method } from "./service.ts";
import type { StatusCode } from "./status.ts";

/** How a call went. Messages are counted as they are on the wire, without their prefix of five bytes. */
export interface CallEnd {
  readonly code: StatusCode;
  /** From the request's headers to the status, which may be before the last byte is sent or the handler returns. */
  readonly durationMs: number;
  readonly requestMessages: number;
  readonly requestBytes: number;
  readonly responseMessages: number;
  readonly responseBytes: number;
}

/**
 * Hears of every call to a registered method, for metrics and traces; also of those that are refused or whose deadline
 * has passed when they come. A server without one spends nothing on it. What it throws becomes an event.
 */
export interface CallObserver {
  /** A call has begun, before its handler. What is answered hears the end, exactly once; undefined spares that. */
  callBegan(call: Call, method: Method): ((end: CallEnd) => void) | undefined;
}

/** What is counted of one call for its observer. */
export class CallRecord {
  #requestMessages = 0;
  #requestBytes = 0;
  #responseMessages = 0;
  #responseBytes = 0;
  #tell: ((end: CallEnd) => void) | undefined;

  constructor(tell: (end: CallEnd) => void) {
    this.#tell = tell;
  }

  received(bytes: number): void {
    this.#requestMessages += 1;
    this.#requestBytes += bytes;
  }

  sent(bytes: number): void {
    this.#responseMessages += 1;
    this.#responseBytes += bytes;
  }

  ended(code: StatusCode, durationMs: number): void {
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.({
      code,
      durationMs,
      requestMessages: this.#requestMessages,
      requestBytes: this.#requestBytes,
      responseMessages: this.#responseMessages,
      responseBytes: this.#responseBytes,
    });
  }
}
