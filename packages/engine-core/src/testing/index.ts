export { MockEngineCore, type MockEngineCoreOptions } from "./mock-engine-core.ts";
export { MockKvPublisher, type MockKvPublisherOptions } from "./mock-kv-publisher.ts";
export type { MockLogprobs, MockMessage, MockOutput, MockStats } from "./mock-outputs.ts";
export type { MockRequest } from "./mock-request.ts";
export type { TokenAt } from "./mock-sequence.ts";
