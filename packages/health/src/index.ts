/** grpc.health.v1 for Node: a status table, the service over it, and a probe. No dependencies, no gRPC library. */

export {
  type ConnectFailure,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTlsOptions,
  probe,
  type RpcFailure,
  type WatchEnd,
  type WatchHealthOptions,
  watchHealth,
} from "./probe/index.ts";
export {
  createHealthService,
  type HealthMethod,
  type HealthService,
  type HealthServiceOptions,
} from "./service.ts";
// Symbols below are for transports and adapters.
export { maxServiceNameBytes } from "./service-name.ts";
export type { RegisteredStatus, ServingStatus, WatchedStatus } from "./serving-status.ts";
export { HealthStatusError } from "./status-error.ts";
export {
  type IgnoredChange,
  type StatusListener,
  StatusTable,
  StatusTableFullError,
  type StatusTableOptions,
  type StatusTransition,
} from "./status-table.ts";
export type { HealthCall, HealthWatchCall } from "./watch-stream.ts";
export {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  encodeHealthCheckRequest,
  type HealthCheckRequest,
} from "./wire/health-check-request.ts";
export {
  decodeHealthCheckResponse,
  encodeHealthCheckResponse,
  type HealthCheckResponse,
} from "./wire/health-check-response.ts";
export {
  decodeHealthListResponse,
  encodeHealthListResponse,
  type HealthListResponse,
} from "./wire/health-list-response.ts";
export { WireError } from "./wire/wire-error.ts";
