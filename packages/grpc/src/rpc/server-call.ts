import type { Connection } from "../http2/connection/connection.ts";
import type { Stream, StreamHandler } from "../http2/connection/stream.ts";
import { readUint32 } from "../http2/frame/frame-header.ts";
import { messagePrefixBytes } from "../http2/frame/message-prefix.ts";
import { answerHeaders, endWithOk, endWithStatus, fitting, gzipAnswerHeaders, okTrailers } from "./answers.ts";
import type { BidiStreamingCall, PushedCall } from "./call.ts";
import { cancelled, deadlineExceeded, requestTimedOut } from "./call-ends.ts";
import type { CallOwner } from "./call-owner.ts";
import { CallRequest, type RequestingCall } from "./call-request.ts";
import { acceptsGzip } from "./compression.ts";
import type { Expiring } from "./deadlines.ts";
import { decodeRequest } from "./decode-request.ts";
import { appendMetadata, FieldMetadata, metadataFields, type RequestMetadata } from "./metadata.ts";
import type { CallRecord } from "./observer.ts";
import type { RequestHead } from "./request-head.ts";
import type { RequestStream } from "./request-stream.ts";
import { sendAnswer, sendMessage } from "./response-messages.ts";
import { type Method, takesStream } from "./service.ts";
import { GrpcStatusError, type MetadataValue, StatusCode } from "./status.ts";

/** A call that the client resets this close to its deadline ended because of it: its timer and ours are not in step. */
const deadlineToleranceMs = 10;

/**
 * One call: a request's messages to its handler, and what the handler says back into the stream.
 *
 * The handler is `waiting` for its request, `running` until its promise settles, or `pushing` until it ends the call, and then
 * `done`; the answer is `open` until a status is given, then `settled`, and `over` when its last byte is in the output or the
 * stream is gone. When both are at their end the call has ended; what is `pushing` does not outlive the stream. A call that is
 * cut (deadline, cancellation, shutdown) settles at once, and its signal tells the handler.
 */
export class ServerCall
  implements StreamHandler, RequestingCall, Expiring, BidiStreamingCall<unknown, unknown>, PushedCall<unknown>
{
  // What each message touches stands together, as in Stream.
  readonly #connection: Connection;
  readonly #stream: Stream;
  readonly method: Method;
  readonly #record: CallRecord | undefined;
  #settled = false;
  #cutBy: GrpcStatusError | undefined;
  #gzip = false;
  /** Where the deadline is kept; undefined while it is not watched. */
  deadlineBucket: number | undefined;
  readonly #owner: CallOwner;
  readonly #head: RequestHead & { readonly t: "call" };
  #metadata: FieldMetadata | undefined;
  /** Undefined while the request may still come in one piece. */
  #request: CallRequest | undefined;
  #headers: string[] | undefined;
  #trailers: string[] | undefined;
  #controller: AbortController | undefined;
  #onCancelled: (() => void) | undefined;
  #room: PromiseWithResolvers<void> | undefined;
  #handler: "waiting" | "running" | "pushing" | "done" = "waiting";
  #over = false;
  #ended = false;

  constructor(
    connection: Connection,
    stream: Stream,
    method: Method,
    head: RequestHead & { readonly t: "call" },
    owner: CallOwner,
  ) {
    this.method = method;
    this.#connection = connection;
    this.#stream = stream;
    this.#head = head;
    this.#owner = owner;
    if (head.timeoutMs !== undefined) owner.watch(this);
    this.#record = owner.observe(this);
  }

  /** When the deadline passes, by the connection's clock; Infinity without one. */
  get expiresAtMs(): number {
    return this.#stream.openedAtMs + (this.#head.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  /** True when handler and answer are at their end. */
  get hasEnded(): boolean {
    return this.#ended;
  }

  get path(): string {
    return this.#stream.request.path;
  }

  /** What the request's metadata holds beyond the usual, as long as the call goes on. */
  get metadataBytes(): number {
    return this.#head.metadataBytes;
  }

  // For the handler.

  get peer(): string {
    return this.#owner.peer;
  }

  get metadata(): RequestMetadata {
    this.#metadata ??= new FieldMetadata(this.#stream.request.fields);
    return this.#metadata;
  }

  get deadlineMs(): number | undefined {
    return this.expiresAtMs === Number.POSITIVE_INFINITY ? undefined : this.#owner.wallMs(this.expiresAtMs);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      // Made on first use: most unary handlers never look.
      this.#controller = new AbortController();
      if (this.#cutBy !== undefined) this.#controller.abort(this.#owner.signalReason(this.#cutBy));
    }
    return this.#controller.signal;
  }

  onCancelled(listener: () => void): void {
    if (this.#cutBy !== undefined) {
      this.#hear(listener);
      return;
    }
    const before = this.#onCancelled;
    if (before === undefined) this.#onCancelled = listener;
    else
      this.#onCancelled = () => {
        this.#hear(before);
        listener();
      };
  }

  get requests(): RequestStream {
    return this.#requestInPieces().requests;
  }

  setHeader(key: string, value: MetadataValue | readonly MetadataValue[]): void {
    this.#headers ??= [];
    appendMetadata(this.#headers, key, value);
  }

  setTrailer(key: string, value: MetadataValue | readonly MetadataValue[]): void {
    this.#trailers ??= [];
    appendMetadata(this.#trailers, key, value);
  }

  compress(): void {
    if (!this.#stream.headersSent) this.#gzip = acceptsGzip(this.#head.acceptEncoding);
  }

  sendHeaders(): void {
    if (this.#isDeaf || this.#stream.headersSent) return;
    this.#stream.sendHeaders(this.#gzip ? gzipAnswerHeaders : answerHeaders, this.#headers ?? noFields, false);
  }

  write(message: unknown): boolean {
    if (this.#isDeaf) return false;
    this.#send(message);
    return this.#connection.sender.hasRoom(this.#stream);
  }

  drained(): Promise<void> {
    if (this.#isDeaf || !this.#stream.wantsRoom) return Promise.resolve();
    this.#room ??= Promise.withResolvers<void>();
    return this.#room.promise;
  }

  end(): void {
    if (this.#handler !== "pushing") return;
    if (this.#cutBy !== undefined) this.#handler = "done";
    else this.#finish();
  }

  fail(error: unknown): void {
    if (this.#handler === "pushing") this.#fail(error);
  }

  // From the stream.

  onData(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (last && this.#request === undefined && this.#takesAtOnce(bytes, start, end)) return;
    this.#requestInPieces().feed(bytes, start, end, last);
  }

  onReset(): void {
    this.#goOver();
    this.cut(this.#isPastDeadline() ? deadlineExceeded() : cancelled());
    this.#checkEnd();
  }

  onSent(): void {
    this.#goOver();
    this.#checkEnd();
  }

  onWritable(): void {
    this.#wake();
  }

  // From the request.

  received(bytes: number): void {
    this.#record?.received(bytes);
  }

  signalReason(status: GrpcStatusError): unknown {
    return this.#owner.signalReason(status);
  }

  // From the server.

  /** Opens a call without request messages yet, so that a streaming handler may speak first. */
  begin(): void {
    if (takesStream(this.method)) this.run(undefined);
  }

  expire(): void {
    this.deadlineBucket = undefined;
    this.cut(deadlineExceeded());
  }

  /** Ends the call when its request has been on its way since before this. */
  expectRequestSince(latestMs: number, nowMs: number): void {
    if (this.#settled) return;
    let sinceMs: number | undefined;
    if (takesStream(this.method)) sinceMs = this.#request?.stuckSinceMs(nowMs);
    else if (this.#handler === "waiting") sinceMs = this.#stream.openedAtMs;
    if (sinceMs !== undefined && sinceMs <= latestMs) this.cut(requestTimedOut());
  }

  /** Ends the call with this status, whatever its handler does; the signal tells the handler. */
  cut(reason: GrpcStatusError): void {
    if (this.#isDeaf) return;
    this.#cutBy = reason;
    if (this.#request !== undefined || this.#controller !== undefined) {
      const told = this.#owner.signalReason(reason);
      this.#request?.fail(told);
      this.#controller?.abort(told);
    }
    if (this.#onCancelled !== undefined) this.#hear(this.#onCancelled);
    // Nobody waits for what is not sent yet, and the status should not either.
    this.#stream.dropPending();
    this.endWith(reason);
  }

  /** Nothing that the handler says goes out any more; true while its signal fires, too. */
  get #isDeaf(): boolean {
    return this.#settled || this.#cutBy !== undefined;
  }

  #requestInPieces(): CallRequest {
    if (this.#request === undefined) {
      const { maxReceiveMessageBytes, memory } = this.#owner;
      const bounds = { maxMessageBytes: maxReceiveMessageBytes, memory };
      this.#request = new CallRequest(this, this.#stream, this.#head.encoding, bounds);
    }
    return this.#request;
  }

  /** A request of one message that came in one piece, as most do: nothing is copied and nothing set up. */
  #takesAtOnce(bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start - messagePrefixBytes;
    if (takesStream(this.method) || length < 0 || bytes[start] !== 0 || readUint32(bytes, start + 1) !== length)
      return false;
    if (length > this.#owner.maxReceiveMessageBytes) return false;
    this.#record?.received(length);
    // A view costs more than all else here, and a Check has nothing to view.
    this.run(length === 0 ? noBytes : bytes.subarray(start + messagePrefixBytes, end));
    return true;
  }

  /** Starts the handler, with the request of a method that takes one message. */
  run(request: Uint8Array | undefined): void {
    if (this.#settled) return;
    this.#handler = "running";
    try {
      const { method } = this;
      switch (method.kind) {
        case "unary": {
          const response = method.handler(decodeRequest(this.method, request ?? noBytes), this);
          if (response instanceof Promise) this.#whenDone(response, true);
          else this.#answer(response);
          return;
        }
        case "server-streaming":
          this.#whenDone(method.handler(decodeRequest(this.method, request ?? noBytes), this), false);
          return;
        case "server-push":
          this.#handler = "pushing";
          method.handler(decodeRequest(this.method, request ?? noBytes), this);
          return;
        case "client-streaming":
          this.#whenDone(method.handler(this), true);
          return;
        case "bidi-streaming":
          this.#whenDone(method.handler(this), false);
          return;
      }
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #whenDone(promise: Promise<unknown>, answers: boolean): void {
    promise.then(
      (response) => {
        if (answers) this.#answer(response);
        else this.#finish();
      },
      (thrown: unknown) => this.#fail(thrown),
    );
  }

  #answer(response: unknown): void {
    try {
      if (this.#answersWhole(response)) return;
      if (!this.#settled) this.#send(response);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    this.#finish();
  }

  /** An answer with nothing but its message, as most have; false for others. */
  #answersWhole(response: unknown): boolean {
    const stream = this.#stream;
    if (this.#settled || stream.headersSent || this.#gzip) return false;
    if (this.#headers !== undefined || this.#trailers !== undefined) return false;
    this.#returned();
    const bytes = sendAnswer(this.#connection.sender, stream, this.method, response);
    this.#record?.sent(bytes);
    this.#settle(StatusCode.OK);
    return true;
  }

  #finish(): void {
    this.#returned();
    if (!this.#settled) {
      this.sendHeaders();
      this.#settle(StatusCode.OK);
      this.#stream.sendTrailers(okTrailers, this.#trailers ?? noFields);
    }
    this.#checkEnd();
  }

  #fail(thrown: unknown): void {
    this.#returned();
    const status = GrpcStatusError.from(thrown);
    if (this.#isDeaf) {
      // An aborted wait ends in some error, usually a harmless one; still it is not lost.
      if (status === undefined) this.#owner.lateFailure(this.path, thrown);
    } else {
      this.endWith(status ?? this.#internal(thrown));
    }
    this.#checkEnd();
  }

  #returned(): void {
    if (this.#handler === "running" && this.#over) this.#connection.linger(-1);
    this.#handler = "done";
  }

  #internal(thrown: unknown): GrpcStatusError {
    return GrpcStatusError.of("INTERNAL", this.#owner.handlerFailed(this.path, thrown));
  }

  /** Settles with a status that is not OK. */
  endWith(status: GrpcStatusError): void {
    if (this.#settled) return;
    let trailers: string[];
    let sent = status;
    try {
      trailers = [...(this.#trailers ?? noFields), ...metadataFields(status.trailers)];
    } catch (thrown) {
      trailers = [];
      sent = this.#internal(thrown);
    }
    this.#settle(sent.code);
    if (!this.#stream.open) return;
    if (status.code === StatusCode.OK) {
      // An error with the code OK is a strange way to end well, and it is one.
      endWithOk(this.#stream, this.#headers ?? noFields, trailers);
      return;
    }
    if (this.#headers !== undefined && !this.#stream.headersSent) {
      trailers.unshift(...this.#headers);
      this.#headers = undefined;
    }
    endWithStatus(this.#stream, sent.code, sent.message, fitting(trailers, this.#connection.peerMaxHeaderListBytes));
  }

  #settle(code: StatusCode): void {
    this.#settled = true;
    this.#onCancelled = undefined;
    this.#record?.ended(code, this.#owner.nowMs() - this.#stream.openedAtMs);
    this.#request?.close();
    this.#wake();
  }

  #isPastDeadline(): boolean {
    return this.#owner.nowMs() >= this.expiresAtMs - deadlineToleranceMs;
  }

  #goOver(): void {
    this.#over = true;
    if (this.#handler === "running") this.#connection.linger(1);
    else if (this.#handler === "pushing") this.#handler = "done";
  }

  #checkEnd(): void {
    if (this.#ended || !this.#over || this.#handler === "running") return;
    this.#ended = true;
    if (this.deadlineBucket !== undefined) this.#owner.unwatch(this, this.deadlineBucket);
    this.#owner.ended(this);
  }

  #hear(listener: () => void): void {
    try {
      listener();
    } catch (thrown) {
      this.#owner.lateFailure(this.path, thrown);
    }
  }

  #wake(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #send(message: unknown): void {
    if (!this.#stream.headersSent) this.sendHeaders();
    const bytes = sendMessage(this.#connection.sender, this.#stream, this.method, message, this.#gzip);
    this.#record?.sent(bytes);
  }
}

const noFields: readonly string[] = [];
// A Buffer, as what comes from sockets is: code that meets one kind of bytes is compiled for one (bench/transport, m100).
const noBytes = Buffer.alloc(0);
