import type { ServingStatus } from "../serving-status.ts";

/** What a probe found. Healthy is `status` SERVING and nothing else. */
export type ProbeResult =
  | {
      /** The server answered. */
      readonly t: "status";
      readonly status: ServingStatus;
      /** Metadata that the server sent beside the answer; values are at most 4096 characters and safe to print. */
      readonly trailers: Readonly<Record<string, string>>;
      /** How long it took to connect, and then to be answered. */
      readonly connectMs: number;
      readonly rpcMs: number;
    }
  | RpcFailure
  | ConnectFailure;

/** Connected, but the call failed. `code` is a gRPC status code: NOT_FOUND (5) for a name that is not registered. */
export interface RpcFailure {
  readonly t: "rpc-failed";
  readonly code: number;
  /** For people: control characters are removed, at most 4096 characters. */
  readonly message: string;
}

/** No HTTP/2 connection: name not found, refused, TLS failed, another protocol (`error`) or too slow (`timeout`). */
export interface ConnectFailure {
  readonly t: "connect-failed";
  readonly reason: "timeout" | "error";
  readonly message: string;
}

/** How a Watch ended. */
export type WatchEnd =
  /** The caller's signal fired. */
  | { readonly t: "stopped" }
  /** The server ended it. `code` 0 is an end without an error, which a Watch should not have. */
  | RpcFailure
  | ConnectFailure
  /** The connection was there and broke. */
  | { readonly t: "connection-lost"; readonly message: string };
