import type { Stream } from "../http2/connection/stream.ts";
import type { Encoding } from "./compression.ts";
import { decodeRequest } from "./decode-request.ts";
import { type MessageTarget, type RequestBounds, RequestMessages } from "./request-messages.ts";
import { RequestStream } from "./request-stream.ts";
import { type Method, takesStream } from "./service.ts";
import { GrpcStatusError } from "./status.ts";

/** The call that a request belongs to. Nothing here throws. */
export interface RequestingCall {
  readonly path: string;
  readonly method: Method;
  /** A message of so many bytes came. */
  received(bytes: number): void;
  /** The one message of the request is there. */
  run(request: Uint8Array): void;
  /** Ends the call behind what was sent. */
  endWith(status: GrpcStatusError): void;
  /** Ends the call at once. */
  cut(reason: GrpcStatusError): void;
  /** What a handler is told that a call ended with. */
  signalReason(status: GrpcStatusError): unknown;
}

/** The request of a call that does not come as one message in one piece. */
export class CallRequest implements MessageTarget {
  readonly #call: RequestingCall;
  readonly #stream: Stream;
  readonly #messages: RequestMessages;
  /** For methods that take a stream. */
  readonly #requests = new RequestStream(() => this.#messages.advance());
  /** For the others: their message, which waits for the end of the request. */
  #message: Uint8Array | undefined;

  constructor(call: RequestingCall, stream: Stream, encoding: Encoding, bounds: RequestBounds) {
    this.#call = call;
    this.#stream = stream;
    this.#messages = new RequestMessages(stream, this, encoding, bounds);
  }

  /** What a handler reads. */
  get requests(): RequestStream {
    return this.#requests;
  }

  feed(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    this.#messages.feed(bytes, start, end, last);
  }

  /** Since when the rest of a message of a stream is waited for; see {@link RequestMessages.stuckSinceMs}. */
  stuckSinceMs(nowMs: number): number | undefined {
    return this.#messages.stuckSinceMs(nowMs);
  }

  /** Who reads the requests gets this error. */
  fail(reason: unknown): void {
    this.#requests.fail(reason);
  }

  /** Nothing is wanted any more. */
  close(): void {
    this.#messages.close();
  }

  get wantsMessage(): boolean {
    return takesStream(this.#call.method) ? this.#requests.isRead : true;
  }

  get keptBytes(): number {
    return this.#message?.length ?? 0;
  }

  onMessage(bytes: Uint8Array): void {
    const call = this.#call;
    call.received(bytes.length);
    if (takesStream(call.method)) {
      try {
        this.#requests.message(decodeRequest(call.method, bytes));
      } catch (thrown) {
        this.onFailure(thrown as GrpcStatusError);
      }
    } else if (this.#message === undefined) this.#message = this.#stream.remoteClosed ? bytes : tight(bytes);
    else call.endWith(GrpcStatusError.of("UNIMPLEMENTED", `${call.path} takes one request message, a second one came`));
  }

  onEnd(): void {
    const call = this.#call;
    if (takesStream(call.method)) {
      // Node's client ends a stream that it cancels and resets it right behind: the reset is what counts.
      setImmediate(() => this.#requests.end());
      return;
    }
    const message = this.#message;
    this.#message = undefined;
    if (message !== undefined) call.run(message);
    else call.endWith(GrpcStatusError.of("UNIMPLEMENTED", `${call.path} takes one request message, none came`));
  }

  onFailure(error: GrpcStatusError): void {
    this.#requests.fail(this.#call.signalReason(error));
    this.#call.cut(error);
  }
}

/** The same bytes without the rest of a large buffer, for what waits as long as a client likes. */
function tight(bytes: Uint8Array): Uint8Array {
  return bytes.length * 2 < bytes.buffer.byteLength ? Uint8Array.prototype.slice.call(bytes) : bytes;
}
