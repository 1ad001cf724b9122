/** Asking a server for its health: once, or for as long as it takes. Loads nothing of the service. */

export { probe } from "./probe.ts";
export type { ProbeOptions, ProbeTlsOptions } from "./probe-options.ts";
export type { ConnectFailure, ProbeResult, RpcFailure, WatchEnd } from "./probe-result.ts";
export { type WatchHealthOptions, watchHealth } from "./watch-health.ts";
