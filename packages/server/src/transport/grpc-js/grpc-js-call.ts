import { randomBytes } from "node:crypto";
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Log } from "../../operations/log.ts";
import type { BidiStreamingCall, RequestMetadata } from "../../rpc/call.ts";
import type { Method } from "../../rpc/service.ts";
import { GrpcStatusError, StatusCode, type Trailers } from "../../rpc/status.ts";
import { RequestStream } from "./request-stream.ts";
import { addTrailer, statusOf, wireDetails, wireTrailers } from "./status-on-the-wire.ts";
import { WriteWindow } from "./write-window.ts";

/** A call that ends this close to its deadline ended because of it: timers here and at the client are not in step. */
const deadlineToleranceMs = 5;

/** What a call tells the server that it belongs to. */
export interface CallOwner {
  readonly log: Log;
  /** The headers arrived. */
  begun(call: GrpcJsCall): void;
  /** The last byte was handed over or the client is gone, and the handler has returned. */
  ended(call: GrpcJsCall): void;
}

/**
 * One call, driven on grpc-js's interceptor interface and not on its stream objects: those queue messages one by one
 * behind each flush, and a status behind them.
 *
 * The life of a call: `start` → request read → handler runs → a status is sent ("settled") → grpc-js reports the end
 * ("over"). The signal fires when the call is over or cut before it was settled; from then on the handler's outcome
 * is dropped and the status is the signal's reason.
 */
export class GrpcJsCall implements BidiStreamingCall<unknown, unknown> {
  readonly path: string;
  readonly openEnded: boolean;
  readonly deadlineMs: number | undefined;
  readonly metadata: RequestMetadata;
  readonly requests: RequestStream;
  readonly #wire: ServerInterceptingCallInterface;
  readonly #method: Method;
  readonly #owner: CallOwner;
  readonly #window = new WriteWindow();
  #headers: Metadata = new Metadata();
  #message: Buffer | undefined;
  #trailers: Metadata | undefined;
  #controller: AbortController | undefined;
  #cutBy: GrpcStatusError | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #handlerRuns = false;
  #settled = false;
  #over = false;

  constructor(path: string, method: Method, wire: ServerInterceptingCallInterface, owner: CallOwner) {
    this.path = path;
    this.openEnded = method.openEnded ?? false;
    this.#method = method;
    this.#wire = wire;
    this.#owner = owner;
    const deadline = Number(wire.getDeadline());
    this.deadlineMs = Number.isFinite(deadline) ? deadline : undefined;
    this.metadata = { get: (key) => this.#firstHeader(key) };
    this.requests = new RequestStream({ startRead: () => wire.startRead(), decode: (bytes) => this.#decode(bytes) });
  }

  get peer(): string {
    const peer = this.#wire.getPeer();
    return peer === "unknown" ? "" : peer;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      // Made on first use: most unary handlers never look.
      this.#controller = new AbortController();
      if (this.#cutBy !== undefined) this.#controller.abort(this.#cutBy);
    }
    return this.#controller.signal;
  }

  /** Begins to read. A call whose stream is closed already never calls its owner. */
  start(): void {
    this.#wire.start({
      onReceiveMetadata: (headers) => this.#begin(headers),
      onReceiveMessage: (bytes: Buffer) => this.#receive(bytes),
      onReceiveHalfClose: () => this.#receivedAll(),
      onCancel: () => this.#finish(),
    });
  }

  /** Fires the signal: whatever the handler does now, the call ends with this status once it returns. */
  cut(reason: GrpcStatusError): void {
    if (this.#settled || this.#cutBy !== undefined) return;
    this.#cutBy = reason;
    this.#window.close();
    this.requests.fail(reason);
    this.#controller?.abort(reason);
    if (!this.#handlerRuns) this.#settle(reason);
  }

  /** Sends the status of a call that was cut, without its handler, which has had its turn. */
  endWithoutHandler(): void {
    if (this.#cutBy !== undefined) this.#settle(this.#cutBy);
  }

  write(message: unknown): boolean {
    if (this.#deaf) return false;
    const bytes = asBuffer(this.#method.encodeResponse(message));
    this.#window.written(bytes.length);
    this.#wire.sendMessage(bytes, () => this.#window.flushed(bytes.length));
    return this.#window.open;
  }

  drained(): Promise<void> {
    return this.#window.drained();
  }

  sendHeaders(): void {
    if (!this.#deaf) this.#wire.sendMetadata(new Metadata());
  }

  setTrailer(key: string, value: string): void {
    this.#trailers ??= new Metadata();
    addTrailer(this.#trailers, key, value);
  }

  get #deaf(): boolean {
    return this.#settled || this.#over || this.#cutBy !== undefined;
  }

  #firstHeader(key: string): string | undefined {
    const value = this.#headers.get(key)[0];
    return value === undefined || typeof value === "string" ? value : value.toString("base64");
  }

  #begin(headers: Metadata): void {
    this.#headers = headers;
    this.#owner.begun(this);
    if (this.#settled) return;
    this.#armDeadline();
    if (this.#method.kind === "bidi-streaming") void this.#run(undefined);
    else this.#wire.startRead();
  }

  #armDeadline(): void {
    if (this.deadlineMs === undefined) return;
    // grpc-js answers DEADLINE_EXCEEDED itself, but behind unread messages, and tells nobody before they are read.
    this.#deadlineTimer = setTimeout(() => this.cut(deadlineExceeded()), Math.max(0, this.deadlineMs - Date.now()));
  }

  #receive(bytes: Buffer): void {
    if (this.#method.kind === "bidi-streaming") {
      this.requests.message(bytes);
    } else if (this.#message === undefined) {
      this.#message = bytes;
      this.#wire.startRead();
    } else {
      this.#settle(GrpcStatusError.of("UNIMPLEMENTED", `${this.path} takes one request message, a second one came`));
    }
  }

  #receivedAll(): void {
    if (this.#method.kind === "bidi-streaming") {
      // A stream that the client reset reads as ended first and is reported cancelled just after: let that come first.
      setImmediate(() => this.requests.halfClosed());
    } else if (this.#message === undefined) {
      this.#settle(GrpcStatusError.of("UNIMPLEMENTED", `${this.path} takes one request message, none came`));
    } else {
      const message = this.#message;
      this.#message = undefined;
      if (!this.#deaf) void this.#run(message);
    }
  }

  /** Runs the handler to its end; never rejects. */
  async #run(message: Buffer | undefined): Promise<void> {
    this.#handlerRuns = true;
    try {
      await this.#answer(message);
      this.#settle(ok);
    } catch (thrown) {
      this.#fail(thrown);
    } finally {
      this.#handlerRuns = false;
      if (this.#over) this.#owner.ended(this);
    }
  }

  async #answer(message: Buffer | undefined): Promise<void> {
    const method = this.#method;
    switch (method.kind) {
      case "unary": {
        const response = await method.handler(this.#decode(message), this);
        if (!this.#deaf) this.#wire.sendMessage(asBuffer(method.encodeResponse(response)), () => undefined);
        return;
      }
      case "server-streaming":
        return method.handler(this.#decode(message), this);
      case "bidi-streaming":
        return method.handler(this);
    }
  }

  #decode(bytes: Uint8Array | undefined): unknown {
    try {
      return this.#method.decodeRequest(bytes ?? new Uint8Array());
    } catch (thrown) {
      const status = statusOf(thrown);
      if (status !== undefined) throw status;
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      throw GrpcStatusError.of("INVALID_ARGUMENT", `the request is not a valid protobuf message: ${problem}`, {
        cause: thrown,
      });
    }
  }

  #fail(thrown: unknown): void {
    const status = statusOf(thrown);
    if (status !== undefined) {
      this.#settle(status);
    } else if (this.#cutBy !== undefined) {
      // An aborted wait ends in some error, usually a harmless one; still it is not lost.
      this.#owner.log.debug({ method: this.path, err: thrown }, "a handler failed after its call had been cut");
      this.#settle(this.#cutBy);
    } else {
      this.#settle(this.#internal(thrown));
    }
  }

  #internal(thrown: unknown): GrpcStatusError {
    const id = randomBytes(4).toString("hex");
    this.#owner.log.error({ id, method: this.path, err: thrown }, "a handler failed, its call ends INTERNAL");
    return GrpcStatusError.of("INTERNAL", `internal error, id ${id}; it is in the server's log`);
  }

  #settle(outcome: Outcome): void {
    if (this.#settled || this.#over) return;
    const status = this.#cutBy ?? outcome;
    let metadata: Metadata;
    try {
      metadata = wireTrailers(this.#trailers, status.trailers);
    } catch (thrown) {
      this.#send(this.#internal(thrown), new Metadata());
      return;
    }
    this.#send(status, metadata);
  }

  #send(status: Outcome, trailers: Metadata): void {
    this.#settled = true;
    this.#window.close();
    this.#wire.sendStatus({ code: status.code, details: wireDetails(status.message), metadata: trailers });
  }

  /** grpc-js calls this once for every call that began: after its status went out, or when the stream broke. */
  #finish(): void {
    clearTimeout(this.#deadlineTimer);
    this.#over = true;
    this.cut(this.#isPastDeadline() ? deadlineExceeded() : cancelled());
    this.#window.close();
    if (!this.#handlerRuns) this.#owner.ended(this);
  }

  #isPastDeadline(): boolean {
    return this.deadlineMs !== undefined && Date.now() >= this.deadlineMs - deadlineToleranceMs;
  }
}

interface Outcome {
  readonly code: StatusCode;
  readonly message: string;
  readonly trailers: Trailers;
}

const ok: Outcome = { code: StatusCode.OK, message: "", trailers: {} };

function deadlineExceeded(): GrpcStatusError {
  return GrpcStatusError.of("DEADLINE_EXCEEDED", "the deadline of the call has passed");
}

function cancelled(): GrpcStatusError {
  return GrpcStatusError.of("CANCELLED", "the client cancelled the call or its connection broke");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
