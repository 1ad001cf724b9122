import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { Connection } from "../http2/connection/connection.ts";
import type { RequestFields } from "../http2/connection/request-fields.ts";
import type { Stream } from "../http2/connection/stream.ts";
import type { Limits } from "../limits.ts";
import { endWithStatus, PlainAnswer } from "./answers.ts";
import { deadlineExceeded } from "./call-ends.ts";
import type { CallOwner } from "./call-owner.ts";
import { acceptedEncodings } from "./compression.ts";
import { Deadlines } from "./deadlines.ts";
import { type Interceptor, intercepted } from "./interceptor.ts";
import { type CallObserver, CallRecord } from "./observer.ts";
import { type RequestHead, readRequestHead } from "./request-head.ts";
import { noRoom, type RequestMemory } from "./request-messages.ts";
import { ServerCall } from "./server-call.ts";
import type { Method, Service } from "./service.ts";
import { GrpcStatusError, StatusCode } from "./status.ts";

/** What the server has to tell, for a log. */
export type ServerEvent =
  /** A handler threw something that is no status; `id` stands in the answer too. */
  | { readonly t: "handler-failed"; readonly id: string; readonly path: string; readonly error: unknown }
  /** The same after its call had been ended for another reason: usually an aborted wait. */
  | { readonly t: "handler-failed-late"; readonly path: string; readonly error: unknown }
  /** The server's observer threw. */
  | { readonly t: "observer-failed"; readonly path: string; readonly error: unknown }
  /** A connection was ended by us because the client broke a rule or a bound. */
  | { readonly t: "connection-failed"; readonly peer: string; readonly code: string; readonly reason: string };

type Phase =
  | { readonly t: "serving" }
  | { readonly t: "refusing"; readonly refusal: GrpcStatusError }
  | { readonly t: "closing"; readonly refusal: GrpcStatusError };

interface Route {
  readonly service: Service;
  readonly method: Method;
}

export interface RpcServerOptions {
  /**
   * Makes what handlers find in `signal.reason` and get from `requests`, for programs with a status error of their own.
   * Default: the `GrpcStatusError` itself.
   */
  readonly signalReason?: (status: GrpcStatusError) => unknown;
  /** Stand around every handler, the first outermost. Default none. */
  readonly interceptors?: readonly Interceptor[];
  /** Hears of every call. Default: nobody does. */
  readonly observer?: CallObserver;
}

/** The calls of all connections: who serves them, how many there are, and how they end together. Knows no sockets. */
export class RpcServer implements RequestMemory {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly #tell: (event: ServerEvent) => void;
  readonly #routes = new Map<string, Route>();
  readonly #deadlines: Deadlines;
  #phase: Phase = { t: "serving" };
  #calls = 0;
  /** How many of them end by themselves. */
  #endingCalls = 0;
  #heldBytes = 0;
  #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];

  readonly signalReason: (status: GrpcStatusError) => unknown;
  readonly #interceptors: readonly Interceptor[];
  readonly #observer: CallObserver | undefined;

  constructor(limits: Limits, clock: Clock, tell: (event: ServerEvent) => void, options: RpcServerOptions = {}) {
    this.signalReason = options.signalReason ?? ((status) => status);
    this.#interceptors = options.interceptors ?? [];
    this.#observer = options.observer;
    this.limits = limits;
    this.clock = clock;
    this.#tell = tell;
    this.#deadlines = new Deadlines(clock);
  }

  register(service: Service): void {
    for (const method of service.methods) {
      const path = `/${service.name}/${method.name}`;
      if (this.#routes.has(path)) throw new Error(`${path} is registered twice`);
      this.#routes.set(path, { service, method: intercepted(method, this.#interceptors) });
    }
  }

  /** Makes the protocol's side of a new connection. `onOutput` is called when there is something to send. */
  connect(peer: string, onOutput: () => void): RpcConnection {
    return new RpcConnection(this, peer, onOutput);
  }

  /** Calls that have begun and not ended. */
  get activeCalls(): number {
    return this.#calls;
  }

  /** Bytes of requests that are not complete or not yet read, and of metadata beyond the usual. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** New calls fail UNAVAILABLE with this sentence, but for services that serve while draining. */
  refuseNewCalls(reason: string): void {
    if (this.#phase.t === "serving") this.#phase = { t: "refusing", refusal: unavailable(reason) };
  }

  /** All new calls fail UNAVAILABLE with this sentence; answers it as the error that ends the others. */
  closing(reason: string): GrpcStatusError {
    const refusal = unavailable(reason);
    this.#phase = { t: "closing", refusal };
    return refusal;
  }

  /** No deadline is watched any more. */
  close(): void {
    this.#deadlines.close();
  }

  /** Resolves when no call is left but open-ended ones. */
  idle(): Promise<void> {
    return this.#when(() => this.#endingCalls === 0);
  }

  /** Resolves when no call is left at all. */
  empty(): Promise<void> {
    return this.#when(() => this.#calls === 0);
  }

  hasRoom(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.limits.maxBufferedRequestBytes;
  }

  take(bytes: number): boolean {
    this.#heldBytes += bytes;
    return bytes <= 0 || this.#heldBytes <= this.limits.maxBufferedRequestBytes;
  }

  // For connections.

  route(path: string): Route | undefined {
    return this.#routes.get(path);
  }

  refusalOf(service: Service): GrpcStatusError | undefined {
    const phase = this.#phase;
    switch (phase.t) {
      case "serving":
        return undefined;
      case "refusing":
        return service.servesWhileDraining === true ? undefined : phase.refusal;
      case "closing":
        return phase.refusal;
    }
  }

  begun(call: ServerCall): void {
    this.#calls += 1;
    this.#heldBytes += call.metadataBytes;
    if (call.method.openEnded !== true) this.#endingCalls += 1;
  }

  ended(call: ServerCall): void {
    this.#calls -= 1;
    this.#heldBytes -= call.metadataBytes;
    if (call.method.openEnded !== true) this.#endingCalls -= 1;
    if (this.#waiting.length === 0) return;
    const met = this.#waiting.filter((waiter) => waiter.done());
    this.#waiting = this.#waiting.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve();
  }

  watch(call: ServerCall): void {
    if (!call.hasEnded) call.deadlineBucket = this.#deadlines.add(call, call.expiresAtMs);
  }

  unwatch(call: ServerCall, bucket: number): void {
    this.#deadlines.remove(call, bucket);
  }

  observe(call: ServerCall): CallRecord | undefined {
    const observer = this.#observer;
    if (observer === undefined) return undefined;
    const { path } = call;
    try {
      const tell = observer.callBegan(call, call.method);
      if (tell === undefined) return undefined;
      return new CallRecord((end) => {
        try {
          tell(end);
        } catch (error) {
          this.tell({ t: "observer-failed", path, error });
        }
      });
    } catch (error) {
      this.tell({ t: "observer-failed", path, error });
      return undefined;
    }
  }

  handlerFailed(path: string, error: unknown): string {
    const id = randomBytes(4).toString("hex");
    this.tell({ t: "handler-failed", id, path, error });
    return `internal error, id ${id}; it is in the server's log`;
  }

  tell(event: ServerEvent): void {
    try {
      this.#tell(event);
    } catch {
      // A log that fails must not take connections with it, and there is nobody else to tell.
    }
  }

  #when(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ done, resolve });
    return promise;
  }
}

/** A call with less time is over when it arrives: without this its end would be a race of its handler with a timer. */
const shortestTimeoutMs = 1;

/** Requests that come slowly are looked for so often: rarely, so that ten thousand watches cost nothing. */
const looksInRequestTimeout = 4;

/** The calls of one connection. */
export class RpcConnection implements CallOwner {
  readonly peer: string;
  readonly http2: Connection;
  readonly #server: RpcServer;
  /** Calls of this turn whose deadline is not watched yet; most have ended when the turn is over. */
  #unwatched: ServerCall[] = [];
  #receiving = false;
  #lookAtMs = 0;

  constructor(server: RpcServer, peer: string, onOutput: () => void) {
    this.#server = server;
    this.peer = peer;
    this.http2 = new Connection(
      server.limits,
      { onRequest: (stream, tooLarge) => this.#request(stream, tooLarge), onOutput },
      server.clock.nowMs(),
    );
  }

  get memory(): RequestMemory {
    return this.#server;
  }

  get maxReceiveMessageBytes(): number {
    return this.#server.limits.maxReceiveMessageBytes;
  }

  /** Takes bytes from the client, up to `maxFrames` frames (default: all), and answers how many bytes it took. */
  receive(bytes: Uint8Array, maxFrames?: number): number {
    this.#receiving = true;
    const taken = this.http2.receive(bytes, this.#server.clock.nowMs(), maxFrames);
    this.#receiving = false;
    if (this.#unwatched.length > 0) {
      for (const call of this.#unwatched) this.#server.watch(call);
      this.#unwatched.length = 0;
    }
    return taken;
  }

  /** Looks at the connection's clocks. */
  tick(nowMs: number): void {
    this.http2.tick(nowMs);
    if (nowMs < this.#lookAtMs) return;
    const { requestTimeoutMs } = this.#server.limits;
    this.#lookAtMs = nowMs + requestTimeoutMs / looksInRequestTimeout;
    const latestMs = nowMs - requestTimeoutMs;
    for (const stream of this.http2.streams()) {
      const { handler } = stream;
      if (handler instanceof ServerCall) handler.expectRequestSince(latestMs, nowMs);
      else if (handler instanceof PlainAnswer && stream.openedAtMs <= latestMs) handler.answer();
    }
  }

  /** Ends every call with this status. */
  cutAll(reason: GrpcStatusError): void {
    for (const stream of this.http2.streams()) {
      if (stream.handler instanceof ServerCall) stream.handler.cut(reason);
    }
  }

  wallMs(atMs: number): number {
    const { clock } = this.#server;
    return Math.round(clock.wallMs() + atMs - clock.nowMs());
  }

  nowMs(): number {
    return this.#server.clock.nowMs();
  }

  watch(call: ServerCall): void {
    if (this.#receiving) this.#unwatched.push(call);
    else this.#server.watch(call);
  }

  unwatch(call: ServerCall, bucket: number): void {
    this.#server.unwatch(call, bucket);
  }

  observe(call: ServerCall): CallRecord | undefined {
    return this.#server.observe(call);
  }

  handlerFailed(path: string, error: unknown): string {
    return this.#server.handlerFailed(path, error);
  }

  signalReason(status: GrpcStatusError): unknown {
    return this.#server.signalReason(status);
  }

  lateFailure(path: string, error: unknown): void {
    this.#server.tell({ t: "handler-failed-late", path, error });
  }

  ended(call: ServerCall): void {
    this.#server.ended(call);
  }

  #request(stream: Stream, tooLarge: boolean): void {
    if (tooLarge) {
      const { maxHeaderListBytes } = this.#server.limits;
      const details = `the request's metadata is larger than the ${maxHeaderListBytes} bytes allowed`;
      endWithStatus(stream, StatusCode.RESOURCE_EXHAUSTED, details, []);
      return;
    }
    const noted = notedOf(stream.request);
    const { head } = noted;
    if (head.t === "call") this.#call(stream, head, noted);
    else this.#answer(stream, head);
  }

  /** Answers what is no call. */
  #answer(stream: Stream, head: Exclude<RequestHead, { readonly t: "call" }>): void {
    switch (head.t) {
      case "http":
        stream.handler = new PlainAnswer(stream, head.status, head.text);
        return;
      case "bad-timeout":
        endWithStatus(stream, StatusCode.INVALID_ARGUMENT, `grpc-timeout is malformed: ${clipped(head.value)}`, []);
        return;
      case "bad-encoding": {
        const details = `grpc-encoding ${clipped(head.value)} is not served; there are ${acceptedEncodings}`;
        endWithStatus(stream, StatusCode.UNIMPLEMENTED, details, ["grpc-accept-encoding", acceptedEncodings]);
        return;
      }
    }
  }

  #call(stream: Stream, head: RequestHead & { readonly t: "call" }, noted: NotedRequest): void {
    noted.route ??= this.#server.route(stream.request.path);
    const { route } = noted;
    if (route === undefined) {
      endWithStatus(stream, StatusCode.UNIMPLEMENTED, `there is no method ${clipped(stream.request.path)}`, []);
      return;
    }
    const call = new ServerCall(this.http2, stream, route.method, head, this);
    stream.handler = call;
    this.#server.begun(call);
    const isLate = head.timeoutMs !== undefined && head.timeoutMs < shortestTimeoutMs;
    const refusal = isLate ? deadlineExceeded() : this.#refusalOf(call, route.service);
    if (refusal === undefined) call.begin();
    else call.cut(refusal);
  }

  #refusalOf(call: ServerCall, service: Service): GrpcStatusError | undefined {
    if (call.metadataBytes > 0 && !this.#server.hasRoom(0)) return noRoom();
    return this.#server.refusalOf(service);
  }
}

/** What was read out of a request's fields, once where the connection knows the request again. */
interface NotedRequest {
  readonly head: RequestHead;
  /** Undefined until a call found it; services are only ever added. */
  route: Route | undefined;
}

function notedOf(request: RequestFields): NotedRequest {
  let noted = request.note as NotedRequest | undefined;
  if (noted === undefined) {
    noted = { head: readRequestHead(request), route: undefined };
    request.note = noted;
  }
  return noted;
}

/** What is said back of a client's words. A few bytes of HPACK can stand for many, so all of it would multiply them. */
function clipped(text: string): string {
  const printable = text.slice(0, maxEchoedCharacters).replaceAll(/[^ -~]/g, "?");
  return text.length <= maxEchoedCharacters ? printable : `${printable}…`;
}

const maxEchoedCharacters = 100;

function unavailable(reason: string): GrpcStatusError {
  return GrpcStatusError.of("UNAVAILABLE", reason);
}
