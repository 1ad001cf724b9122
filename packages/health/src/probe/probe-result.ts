import type { ServingStatus } from "../serving-status.ts";

/** What a probe found. Healthy is `status` SERVING and nothing else. */
export type ProbeResult =
  /** The server answered. `connectMs` and `rpcMs` say how long each part took. */
  | { readonly t: "status"; readonly status: ServingStatus; readonly connectMs: number; readonly rpcMs: number }
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
