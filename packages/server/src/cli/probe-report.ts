import type { ConnectFailure, RpcFailure } from "@tokenwire/health/probe";
import type { ProbeConfiguration } from "./configuration.ts";
import { formatAddress } from "./value-parsers.ts";

/** The sentence for a failed call, in the words of grpc_health_probe. */
export function rpcFailureLine({ code, message }: RpcFailure, { rpcTimeoutMs }: ProbeConfiguration): string {
  if (code === 4) return `timeout: health rpc did not complete within ${rpcTimeoutMs} ms`;
  if (code === 12) {
    return `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${message}`;
  }
  return `error: health rpc failed: code ${code}: ${message}`;
}

/** The sentence for a connection that did not come about, in the words of grpc_health_probe. */
export function connectFailureLine({ reason, message }: ConnectFailure, configuration: ProbeConfiguration): string {
  const address = formatAddress(configuration);
  return reason === "timeout"
    ? `timeout: failed to connect service "${address}" within ${configuration.connectTimeoutMs} ms`
    : `error: failed to connect service at "${address}": ${message}`;
}

/** Why a status is what it is, where the server says so in the metadata of its answer. */
export function reasonIn(trailers: Readonly<Record<string, string>>): string | undefined {
  const reason = trailers["tokenwire-health-reason"];
  const detail = trailers["tokenwire-health-detail"];
  return reason === undefined || detail === undefined ? (reason ?? detail) : `${reason}: ${detail}`;
}
