export { createEngineCoreClient } from "./client/create-client.ts";
export type {
  EngineConnection,
  EngineCoreClient,
  EngineCoreClientOptions,
  RememberedEngines,
} from "./client/engine-core-client.ts";
export { type DeathCause, EngineCoreError, type EngineCoreFault } from "./engine-core-error.ts";
export { type FollowKvEventsOptions, followKvEvents, type KvEventFollower } from "./kv-events/follow-kv-events.ts";
export type { EngineKvEvent, EngineKvEvents } from "./kv-events/kv-event-batch.ts";
export { type KvEventsSource, kvEventsSource } from "./kv-events/kv-events-source.ts";
export type { EngineCoreOutput, EngineCoreOutputs, FinishReason, SchedulerStats } from "./protocol/outputs.ts";
export type { ReadyFacts } from "./protocol/ready-response.ts";
export type { EngineCoreRequest, WireMap, WireValue } from "./protocol/request.ts";
export type { LogprobsTensors, Tensor } from "./protocol/tensor.ts";
export { checkRequest } from "./validation/check-request.ts";
export type { RequestLimits } from "./validation/request-limits.ts";
