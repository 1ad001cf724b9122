import {
  type CallObserver,
  createServer,
  defaultLimits,
  type Service as GrpcService,
  type Listener,
  type Server,
  type ServerEvent,
  type TlsCredentials,
  GrpcStatusError as TransportStatusError,
} from "@tokenwire/grpc";
import type { Log } from "../../operations/log.ts";
import type { ListenAddress, RpcServer } from "../../rpc/server.ts";
import type { Method, Service } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { ListenError } from "./listen-error.ts";

export interface RpcServerOptions {
  readonly log: Log;
  /**
   * Largest request message, after decompression; a larger one is answered RESOURCE_EXHAUSTED. Default 64 MiB
   * (gRPC's own default of 4 MiB is too small for a prompt with images), -1 sets no bound. Responses have none.
   */
  readonly maxReceiveMessageBytes?: number;
  /** Connections at a time; more are closed as they come. Default 65,536. */
  readonly maxConnections?: number;
  /** Calls that one connection may have open; more wait at the client. Default 16,384. */
  readonly maxConcurrentStreams?: number;
  /** Speaks TLS, and with a `ca` takes only clients that show a certificate of it. Default: plaintext. */
  readonly tls?: TlsCredentials | undefined;
  /** Hears of every call. Default: nobody does, and nothing is counted. */
  readonly observer?: CallObserver | undefined;
  /** How long `close` waits for handlers to return, and then for their last bytes to leave. Default 1,000 ms each. */
  readonly closeGraceMs?: number;
}

const defaultMaxReceiveMessageBytes = 64 * 1024 * 1024;
/** So many messages of the largest size may be on their way in at once, over all connections. */
const largestMessagesAtOnce = 4;
/**
 * Streams that a client may reset at once, and then per second, before its connection is cut for a flood. A gateway
 * carries all its users on one connection, and each that leaves is a reset.
 */
const streamResets = { resetBurst: 20_000, resetsPerSecond: 2_000 };
/** The rule of vLLM's server: a ping each 10 s, with and without calls. */
const pings = { minPingIntervalMs: 10_000, permitPingsWithoutCalls: true };

/** The seam's server, and what only this transport can do. */
export interface TokenwireRpcServer extends RpcServer {
  /**
   * Takes other certificates for connections from now on; those that stand go on. A `ca` that was not there from the
   * start asks no client for a certificate. Throws for certificates that cannot be used, and the old ones stay then.
   */
  setCertificates(credentials: TlsCredentials): void;
}

/**
 * Makes a gRPC server on `@tokenwire/grpc`.
 *
 * Throws a RangeError for a `maxReceiveMessageBytes` that is no bound.
 */
export function createRpcServer(options: RpcServerOptions): TokenwireRpcServer {
  const { log, closeGraceMs, observer } = options;
  const maxReceiveMessageBytes = messageBound(options.maxReceiveMessageBytes ?? defaultMaxReceiveMessageBytes);
  const maxBufferedRequestBytes = Math.max(
    defaultLimits.maxBufferedRequestBytes,
    largestMessagesAtOnce * maxReceiveMessageBytes,
  );
  return new TokenwireGrpcServer(
    createServer({
      limits: {
        maxReceiveMessageBytes,
        maxBufferedRequestBytes,
        requestTimeoutMs: requestTimeoutMs(maxReceiveMessageBytes),
        maxConnections: options.maxConnections ?? defaultLimits.maxConnections,
        maxConcurrentStreams: options.maxConcurrentStreams ?? defaultLimits.maxConcurrentStreams,
        ...streamResets,
        ...pings,
      },
      ...(closeGraceMs === undefined ? {} : { closeGraceMs }),
      ...(observer === undefined ? {} : { observer }),
      onEvent: (event) => report(event, log),
      signalReason: (status) => new GrpcStatusError(status.code, status.message),
    }),
    options.tls,
  );
}

class TokenwireGrpcServer implements TokenwireRpcServer {
  readonly #server: Server;
  #tls: TlsCredentials | undefined;
  #listener: Listener | undefined;

  constructor(server: Server, tls: TlsCredentials | undefined) {
    this.#server = server;
    this.#tls = tls;
  }

  register(service: Service): void {
    this.#server.register(withProtobufSentence(service));
  }

  async listen(address: ListenAddress): Promise<ListenAddress> {
    try {
      const tls = this.#tls;
      this.#listener = await this.#server.listen({
        host: address.host,
        port: address.port,
        ...(tls === undefined
          ? {}
          : { tls: { ...tls, clientCertificate: tls.ca === undefined ? "none" : "require" } as const }),
      });
      return { host: this.#listener.host, port: this.#listener.port };
    } catch (thrown) {
      throw ListenError.from(address, thrown);
    }
  }

  setCertificates(credentials: TlsCredentials): void {
    this.#listener?.setCertificates(credentials);
    this.#tls = credentials;
  }

  get activeCalls(): number {
    return this.#server.activeCalls;
  }

  refuseNewCalls(reason: string): void {
    this.#server.refuseNewCalls(reason);
  }

  idle(): Promise<void> {
    return this.#server.idle();
  }

  close(reason: string): Promise<void> {
    return this.#server.close(reason);
  }
}

function withProtobufSentence(service: Service): GrpcService {
  return { ...service, methods: service.methods.map((method) => ({ ...method, decodeRequest: decoder(method) })) };
}

function decoder(method: Method): (bytes: Uint8Array) => unknown {
  return (bytes) => {
    try {
      return method.decodeRequest(bytes);
    } catch (thrown) {
      if (TransportStatusError.from(thrown) !== undefined) throw thrown;
      const problem = thrown instanceof Error ? thrown.message : String(thrown);
      throw GrpcStatusError.of("INVALID_ARGUMENT", `the request is not a valid protobuf message: ${problem}`, {
        cause: thrown,
      });
    }
  };
}

function report(event: ServerEvent, log: Log): void {
  switch (event.t) {
    case "handler-failed":
      log.error({ id: event.id, method: event.path, err: event.error }, "a handler failed, its call ends INTERNAL");
      return;
    case "handler-failed-late":
      log.debug({ method: event.path, err: event.error }, "a handler failed after its call had been cut");
      return;
    case "observer-failed":
      log.error({ method: event.path, err: event.error }, "a call could not be counted");
      return;
    case "connection-failed":
      // Any stranger can cause it, so it must not fill the log of a server that runs as it should.
      log.debug({ reason: "connection-failed", peer: event.peer, code: event.code }, event.reason);
      return;
  }
}

/** Time for the largest message at 1 Mbit/s, within the transport's own default and an hour. */
function requestTimeoutMs(maxMessageBytes: number): number {
  const bytesPerMs = 128;
  return Math.max(defaultLimits.requestTimeoutMs, Math.min(maxMessageBytes / bytesPerMs, 3_600_000));
}

function messageBound(bytes: number): number {
  if (bytes === -1) return Number.POSITIVE_INFINITY;
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new RangeError(`maxReceiveMessageBytes is ${bytes}; it must be a positive whole number, or -1 for no bound`);
}
