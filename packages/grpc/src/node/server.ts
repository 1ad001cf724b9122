import type { Socket } from "node:net";
import { type Clock, systemClock } from "../clock.ts";
import { type Limits, limitsOf } from "../limits.ts";
import { RpcServer, type RpcServerOptions, type ServerEvent } from "../rpc/rpc-server.ts";
import type { Service } from "../rpc/service.ts";
import { type Listener, type ListenTarget, openListener } from "./listener.ts";
import { SocketDriver } from "./socket-driver.ts";

export interface ServerOptions extends RpcServerOptions {
  /** Bounds that differ from the defaults. */
  readonly limits?: Partial<Limits>;
  /** How long `close` waits for handlers to return, and then for their last bytes to leave. Default 1,000 ms each. */
  readonly closeGraceMs?: number;
  /** Hears what a log should know. Default: nothing is told. */
  readonly onEvent?: (event: ServerEvent) => void;
  /** For tests. */
  readonly clock?: Clock;
}

/** A gRPC server. */
export interface Server {
  /** Registers a service. Only before {@link listen}; throws for a method registered twice. */
  register(service: Service): void;
  /** Opens a listener; a server may have several. Rejects with the system's error (`EADDRINUSE`, …). */
  listen(target: ListenTarget): Promise<Listener>;
  /** Serves a connected socket that came from elsewhere, TLS settled. */
  accept(socket: Socket): void;
  /** Calls that have begun and not ended, open-ended ones included. */
  readonly activeCalls: number;
  /** Connections that stand. */
  readonly connections: number;
  /**
   * From now on new calls fail UNAVAILABLE with this sentence and connections that stand are told to leave; calls in
   * flight go on, and services marked `servesWhileDraining` take new ones. Listeners stay open. Idempotent.
   */
  refuseNewCalls(reason: string): void;
  /** Resolves when no call is in flight any more but open-ended ones. */
  idle(): Promise<void>;
  /** Ends every call UNAVAILABLE with this sentence, then closes listeners and connections. Idempotent. */
  close(reason: string): Promise<void>;
}

const defaultCloseGraceMs = 1_000;
/** Clocks of all connections are looked at so often, or a quarter of the shortest bound where that is less. */
const tickMs = 1_000;
const leastTickMs = 10;

/** Makes a gRPC server. It does nothing before it listens. Throws a RangeError for a limit that is none. */
export function createServer(options: ServerOptions = {}): Server {
  return new NodeServer(options);
}

class NodeServer implements Server {
  readonly #rpc: RpcServer;
  readonly #clock: Clock;
  readonly #closeGraceMs: number;
  readonly #tickMs: number;
  readonly #drivers = new Set<SocketDriver>();
  readonly #listeners = new Set<Listener>();
  /** Sockets that our listeners took and that are not closed. */
  #sockets = 0;
  #cancelTick: (() => void) | undefined;
  #started = false;
  #refusing = false;
  #closed: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  constructor(options: ServerOptions) {
    const limits = limitsOf(options.limits);
    this.#clock = options.clock ?? systemClock;
    this.#closeGraceMs = options.closeGraceMs ?? defaultCloseGraceMs;
    this.#rpc = new RpcServer(limits, this.#clock, options.onEvent ?? (() => undefined), options);
    this.#tickMs = Math.max(leastTickMs, Math.min(tickMs, shortestBoundMs(limits) / 4));
  }

  get activeCalls(): number {
    return this.#rpc.activeCalls;
  }

  get connections(): number {
    return this.#drivers.size;
  }

  register(service: Service): void {
    if (this.#started) throw new Error(`${service.name} must be registered before the server listens`);
    this.#rpc.register(service);
  }

  async listen(target: ListenTarget): Promise<Listener> {
    if (this.#closed !== undefined) throw new Error("a server does not listen after close");
    this.#started = true;
    const { limits } = this.#rpc;
    const listener = await openListener(
      target,
      limits.handshakeTimeoutMs,
      (socket) => this.accept(socket),
      (socket) => !this.#admits(socket),
    );
    if (this.#closed !== undefined) {
      listener.close();
      throw new Error("the server was closed while the listener opened");
    }
    this.#listeners.add(listener);
    return listener;
  }

  accept(socket: Socket): void {
    this.#started = true;
    if (this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    this.#drivers.add(new SocketDriver(socket, this.#rpc, (driver) => this.#gone(driver)));
    if (this.#cancelTick === undefined) this.#scheduleTick();
  }

  refuseNewCalls(reason: string): void {
    if (this.#refusing || this.#closed !== undefined) return;
    this.#refusing = true;
    this.#rpc.refuseNewCalls(reason);
    for (const driver of this.#drivers) driver.leave();
  }

  idle(): Promise<void> {
    return this.#rpc.idle();
  }

  close(reason: string): Promise<void> {
    this.#closed ??= this.#close(reason);
    return this.#closed;
  }

  async #close(reason: string): Promise<void> {
    const refusal = this.#rpc.closing(reason);
    for (const listener of this.#listeners) listener.close();
    for (const driver of this.#drivers) driver.cutAll(refusal);
    await this.#bounded(this.#rpc.empty());
    for (const driver of this.#drivers) driver.end(refusal);
    if (this.#drivers.size > 0) {
      const gone = Promise.withResolvers<void>();
      this.#onEmpty = gone.resolve;
      await this.#bounded(gone.promise);
      for (const driver of this.#drivers) driver.destroy();
      if (this.#drivers.size > 0) await gone.promise;
    }
    this.#cancelTick?.();
    this.#rpc.close();
  }

  async #bounded(promise: Promise<void>): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, this.#closeGraceMs);
    await Promise.race([promise, timeout.promise]);
    clearTimeout(timer);
  }

  /** Counts a socket as it comes, because a TLS handshake that does not end is a connection, too. */
  #admits(socket: Socket): boolean {
    if (Math.max(this.#sockets, this.#drivers.size) >= this.#rpc.limits.maxConnections) return false;
    this.#sockets += 1;
    socket.once("close", () => {
      this.#sockets -= 1;
    });
    return true;
  }

  #gone(driver: SocketDriver): void {
    this.#drivers.delete(driver);
    if (this.#drivers.size > 0) return;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#onEmpty?.();
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#clock.after(this.#tickMs, () => {
      this.#scheduleTick();
      const nowMs = this.#clock.nowMs();
      for (const driver of this.#drivers) driver.tick(nowMs);
    });
  }
}

function shortestBoundMs(limits: Limits): number {
  return Math.min(
    limits.handshakeTimeoutMs,
    limits.headerTimeoutMs,
    limits.requestTimeoutMs,
    limits.keepaliveTimeMs,
    limits.keepaliveTimeoutMs,
    limits.maxConnectionIdleMs,
    limits.maxConnectionAgeMs,
    limits.maxConnectionAgeGraceMs,
  );
}
