import type { Service } from "./service.ts";

/** Where a transport listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 asks the system for a free port. */
  readonly port: number;
}

/** A gRPC server as the rest of tokenwire sees it. One implementation per transport. */
export interface RpcServer {
  /** Registers a service. Only before {@link listen}. */
  register(service: Service): void;
  /**
   * Opens the port and answers the bound address. Rejects with a sentence that names host and port when the
   * address cannot be bound (in use, no permission, unknown host).
   */
  listen(address: ListenAddress): Promise<ListenAddress>;
  /** Calls that have begun and not ended, open-ended ones included. */
  readonly activeCalls: number;
  /**
   * From now on new calls fail UNAVAILABLE with this sentence and connections get GOAWAY; calls in flight go on, and
   * services marked `servesWhileDraining` still take new ones. The port stays open, so that a client hears the reason.
   */
  refuseNewCalls(reason: string): void;
  /** Resolves when no call is in flight any more but open-ended ones; at once when that is so already. */
  idle(): Promise<void>;
  /** Ends every call in flight with UNAVAILABLE and this sentence, then closes the port and all connections. Idempotent. */
  close(reason: string): Promise<void>;
}
