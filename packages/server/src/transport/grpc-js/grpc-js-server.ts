import { type ConnectionInjector, Server, ServerCredentials, ServerInterceptingCall } from "@grpc/grpc-js";
import type { Log } from "../../operations/log.ts";
import type { ListenAddress, RpcServer } from "../../rpc/server.ts";
import type { Method, Service } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { boundedWait } from "./bounded-wait.ts";
import { GrpcJsCall } from "./grpc-js-call.ts";
import { Listener } from "./listener.ts";

export interface GrpcJsServerOptions {
  readonly log: Log;
  /**
   * Largest request message, after decompression; a larger one is answered RESOURCE_EXHAUSTED. Default 64 MiB
   * (gRPC's own default of 4 MiB is too small for a prompt with images), -1 sets no bound. Responses have none.
   */
  readonly maxReceiveMessageBytes?: number;
  /**
   * A connection is pinged this often and cut when it has not answered for 20 s, so that a client that vanished
   * without a word frees its streams. Default 60,000; 0 turns it off. Equals GRPC_ARG_KEEPALIVE_TIME_MS.
   */
  readonly keepaliveTimeMs?: number;
  /** Streams that one connection may have open; more wait at the client. Default 65,536. */
  readonly maxConcurrentStreams?: number;
  /** How long `close` waits for handlers to return, and then for their last bytes to leave. Default 1,000 each. */
  readonly closeGraceMs?: number;
}

/**
 * Makes a plaintext gRPC server on `@grpc/grpc-js`.
 *
 * Pings from clients are always answered and never counted against them, with and without calls: vLLM's server allows
 * one each 10 s, this one is not stricter.
 */
export function createGrpcJsServer(options: GrpcJsServerOptions): RpcServer {
  return new GrpcJsServer(options);
}

type Phase =
  | { readonly t: "serving" }
  | { readonly t: "refusing"; readonly refusal: GrpcStatusError }
  | { readonly t: "closing"; readonly refusal: GrpcStatusError; readonly closed: Promise<void> };

const defaultMaxReceiveMessageBytes = 64 * 1024 * 1024;
const defaultKeepaliveTimeMs = 60_000;
const defaultMaxConcurrentStreams = 65_536;
const defaultCloseGraceMs = 1_000;
const keepaliveTimeoutMs = 20_000;
/** Streams that a client may reset at once, and then per second, before its connection is cut for a flood. */
const streamResets = { streamResetBurst: 20_000, streamResetRate: 2_000 };
/** Longest time a timer can wait; grpc-js cuts drained connections after its grace, and here it must not. */
const foreverMs = 2 ** 31 - 1;

class GrpcJsServer implements RpcServer {
  readonly #log: Log;
  readonly #closeGraceMs: number;
  readonly #server: Server;
  readonly #connections: ConnectionInjector;
  readonly #listener: Listener;
  readonly #routes = new Map<string, { readonly service: Service; readonly method: Method }>();
  readonly #calls = new Set<GrpcJsCall>();
  /** How many of them end by themselves. */
  #endingCalls = 0;
  #waiting: { readonly done: () => boolean; readonly resolve: () => void }[] = [];
  #phase: Phase = { t: "serving" };
  #listening = false;

  constructor(options: GrpcJsServerOptions) {
    this.#log = options.log;
    this.#closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    const keepaliveTimeMs = options.keepaliveTimeMs ?? defaultKeepaliveTimeMs;
    this.#server = new Server({
      "grpc.max_receive_message_length": messageBound(options.maxReceiveMessageBytes ?? defaultMaxReceiveMessageBytes),
      "grpc.max_send_message_length": -1,
      "grpc.max_concurrent_streams": options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
      ...(keepaliveTimeMs > 0
        ? { "grpc.keepalive_time_ms": keepaliveTimeMs, "grpc.keepalive_timeout_ms": keepaliveTimeoutMs }
        : {}),
      // Its counters cost time on each message, and nothing of ours reads them.
      "grpc.enable_channelz": 0,
      interceptors: [
        (definition, wire) =>
          new ServerInterceptingCall(wire, {
            // `next` is never called: the call is driven here, and grpc-js's own handler stays asleep.
            start: () => this.#start(definition.path, wire),
          }),
      ],
    });
    allowCancellations(this.#server);
    this.#connections = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = new Listener((socket) => this.#connections.injectConnection(socket));
  }

  register(service: Service): void {
    if (this.#listening) throw new Error(`${service.name} must be registered before the server listens`);
    for (const method of service.methods) {
      const path = `/${service.name}/${method.name}`;
      if (!this.#server.register(path, neverCalled, sameBytes, sameBytes, handlerType(method))) {
        throw new Error(`${path} is registered twice`);
      }
      this.#routes.set(path, { service, method });
    }
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    if (this.#listening || this.#phase.t === "closing") throw new Error("a server listens once, and not after close");
    this.#listening = true;
    try {
      return await this.#listener.open(address);
    } catch (thrown) {
      this.#listening = false;
      throw thrown;
    }
  }

  get activeCalls(): number {
    return this.#calls.size;
  }

  refuseNewCalls(reason: string): void {
    if (this.#phase.t !== "serving") return;
    this.#phase = { t: "refusing", refusal: GrpcStatusError.of("UNAVAILABLE", reason) };
    this.#connections.drain(foreverMs);
  }

  idle(): Promise<void> {
    return this.#when(() => this.#endingCalls === 0);
  }

  close(reason: string): Promise<void> {
    if (this.#phase.t === "closing") return this.#phase.closed;
    const refusal = GrpcStatusError.of("UNAVAILABLE", reason);
    const closed = Promise.withResolvers<void>();
    this.#phase = { t: "closing", refusal, closed: closed.promise };
    closed.resolve(this.#close(refusal));
    return closed.promise;
  }

  async #close(reason: GrpcStatusError): Promise<void> {
    this.#listener.stopAccepting();
    for (const call of this.#calls) call.cut(reason);
    await boundedWait(
      this.#when(() => this.#calls.size === 0),
      this.#closeGraceMs,
    );
    for (const call of this.#calls) call.endWithoutHandler();
    this.#connections.destroy();
    const clean = await boundedWait(this.#listener.connectionsGone(), this.#closeGraceMs);
    if (!clean) this.#log.debug({ reason: "slow-clients" }, "connections were cut that had not taken their last bytes");
    this.#listener.destroyConnections();
    await this.#listener.connectionsGone();
    this.#server.forceShutdown();
  }

  #start(path: string, wire: ConstructorParameters<typeof GrpcJsCall>[2]): void {
    const route = this.#routes.get(path);
    // grpc-js answers unknown methods itself and calls no interceptor for them.
    if (route === undefined) throw new Error(`${path} has no route`);
    const call: GrpcJsCall = new GrpcJsCall(path, route.method, wire, {
      log: this.#log,
      begun: () => this.#begun(call, route.service),
      ended: () => this.#ended(call),
    });
    call.start();
  }

  #begun(call: GrpcJsCall, service: Service): void {
    const phase = this.#phase;
    if (phase.t === "closing" || (phase.t === "refusing" && service.servesWhileDraining !== true)) {
      call.cut(phase.refusal);
    } else {
      this.#calls.add(call);
      if (!call.openEnded) this.#endingCalls += 1;
    }
  }

  #ended(call: GrpcJsCall): void {
    if (this.#calls.delete(call) && !call.openEnded) this.#endingCalls -= 1;
    if (this.#waiting.length === 0) return;
    const met = this.#waiting.filter((waiter) => waiter.done());
    this.#waiting = this.#waiting.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve();
  }

  #when(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ done, resolve });
    return promise;
  }
}

/**
 * Node cuts a connection that resets more than 1,000 streams and then 33 a second (CVE-2023-44487). A gateway carries
 * all its users on one connection, and each that leaves is a reset, so there the bound would end the others' calls.
 * grpc-js hands these options to node:http2 and has no way to set this one; `churn.test.ts` holds that it still works.
 */
function allowCancellations(server: Server): void {
  const { commonServerOptions } = server as unknown as { commonServerOptions?: object };
  if (commonServerOptions !== undefined) Object.assign(commonServerOptions, streamResets);
}

function messageBound(bytes: number): number {
  if (bytes === -1 || (Number.isSafeInteger(bytes) && bytes > 0)) return bytes;
  throw new RangeError(`maxReceiveMessageBytes is ${bytes}; it must be a positive whole number, or -1 for no bound`);
}

function handlerType(method: Method): string {
  switch (method.kind) {
    case "unary":
      return "unary";
    case "server-streaming":
      return "serverStream";
    case "bidi-streaming":
      return "bidi";
  }
}

function sameBytes(bytes: Buffer): Buffer {
  return bytes;
}

function neverCalled(): void {
  throw new Error("grpc-js ran its own handler");
}
