import assert from "node:assert/strict";
import type { Engine } from "../../../engine/engine.ts";
import type { EngineLoad } from "../../../engine/facts.ts";
import { createMockEngine, type MockControls } from "../../../engines/mock/mock-engine.ts";
import type { MockScript } from "../../../engines/mock/mock-script.ts";
import {
  type GenerateComplete,
  GenerateRequest,
  type GenerateResponse,
  type GenerateStreamChunk,
  type SamplingParams,
} from "../../../generated/vllm_engine.ts";
import { createLog } from "../../../operations/log.ts";
import type { Method } from "../../../rpc/service.ts";
import { GrpcStatusError, StatusCode, type StatusName } from "../../../rpc/status.ts";
import type { VllmEngineContext } from "../context.ts";
import { createVllmEngineService } from "../index.ts";
import { ScriptedCall } from "./scripted-call.ts";

/** The service over a scripted engine that only steps when told to. */
export interface ServiceUnderTest {
  readonly engine: Engine & MockControls;
  /** Calls a method as a transport would, but without bytes. */
  call<Response>(name: string, request: unknown, call?: ScriptedCall<Response>): Promise<Response>;
  method(name: string): Method;
  load(): EngineLoad | undefined;
}

/** Makes it with a started engine; the caller closes the engine. */
export async function serviceUnderTest(
  script: MockScript = {},
  changes: Partial<VllmEngineContext> = {},
): Promise<ServiceUnderTest> {
  const engine = createMockEngine({ stepIntervalMs: "manual", ...script });
  await engine.start();
  return { engine, ...serviceOver(engine, changes) };
}

/** The service over any engine, with a clock that stands at the second 1000 after a start at 900. */
export function serviceOver(
  engine: Engine,
  changes: Partial<VllmEngineContext> = {},
): Omit<ServiceUnderTest, "engine"> {
  const service = createVllmEngineService({
    engine,
    servedModelName: "served",
    version: "1.2.3",
    log: createLog("silent"),
    startedAtMs: 900_000,
    now: () => 1_000_000,
    health: async () => ({ outcome: "healthy", message: "The engine is ready.", trailers: {} }),
    logStats: true,
    ...changes,
  });
  const method = (name: string): Method => {
    const found = service.methods.find((candidate) => candidate.name === name);
    assert.ok(found !== undefined, `no method ${name}`);
    return found;
  };
  return {
    method,
    load: () => engine.loads()[0],
    async call<Response>(name: string, request: unknown, call = new ScriptedCall<Response>()) {
      const { handler } = method(name) as { handler: (request: unknown, call: unknown) => Promise<Response> };
      return handler(request, call);
    },
  };
}

/** A GenerateRequest with three prompt tokens, streamed. */
export function generateRequest(
  sampling: Partial<SamplingParams> = {},
  changes: Partial<GenerateRequest> = {},
): GenerateRequest {
  return {
    ...GenerateRequest.create({ requestId: "r", stream: true }),
    input: { $case: "tokenized", value: { originalText: "", inputIds: [1, 2, 3] } },
    samplingParams: { ...samplingParams(), ...sampling },
    ...changes,
  };
}

function samplingParams(): SamplingParams {
  const { samplingParams: empty } = GenerateRequest.create({ samplingParams: {} });
  assert.ok(empty !== undefined);
  return empty;
}

export function chunks(call: ScriptedCall<GenerateResponse>): GenerateStreamChunk[] {
  return call.written.flatMap(({ response }) => (response?.$case === "chunk" ? [response.value] : []));
}

export function completes(call: ScriptedCall<GenerateResponse>): GenerateComplete[] {
  return call.written.flatMap(({ response }) => (response?.$case === "complete" ? [response.value] : []));
}

/** A check for assert.rejects and assert.throws: this status, and details that contain the text. */
export function isStatus(name: StatusName, text = ""): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof GrpcStatusError, `not a status: ${String(thrown)}`);
    assert.equal(thrown.code, StatusCode[name], thrown.message);
    assert.ok(thrown.message.includes(text), `${thrown.message} does not contain ${text}`);
    return true;
  };
}
