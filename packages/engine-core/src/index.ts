export type {
  EngineConnection,
  EngineCoreClient,
  EngineCoreClientOptions,
  RememberedEngines,
} from "./client/engine-core-client.ts";
export type { ReadyFacts } from "./client/ready-facts.ts";
export { type DeathCause, EngineCoreError, type EngineCoreFault } from "./engine-core-error.ts";
export type { EngineCoreOutput, EngineCoreOutputs, FinishReason, SchedulerStats } from "./protocol/outputs.ts";
export type { EngineCoreRequest, WireMap, WireValue } from "./protocol/request.ts";
export type { LogprobsTensors, PromptLogprobsTensors, Tensor } from "./protocol/tensor.ts";
