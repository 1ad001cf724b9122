import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import type { HealthCheckResponse } from "../../generated/vllm_engine.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import type { HealthAnswer } from "./context.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { isStatus, serviceOver } from "./testing/service-under-test.ts";

function serviceWhoseHealthIs(answer: HealthAnswer) {
  return serviceOver(createMockEngine({}), { health: async () => answer });
}

describe("HealthCheck", () => {
  for (const outcome of ["healthy", "unhealthy"] as const) {
    it(`is OK with a message and the reason in the trailers when the engine is ${outcome}`, async () => {
      const trailers = { "tokenwire-health-reason": "a-word" };
      const service = serviceWhoseHealthIs({ outcome, message: "A sentence.", trailers });
      const call = new ScriptedCall<HealthCheckResponse>();
      const answer = await service.call("HealthCheck", {}, call);
      assert.deepEqual(answer, { healthy: outcome === "healthy", message: "A sentence." });
      assert.deepEqual(call.trailers, trailers);
    });
  }

  it("is UNAVAILABLE with the same reason when nothing can be served", async () => {
    const trailers = { "tokenwire-health-reason": "engine-dead" };
    const service = serviceWhoseHealthIs({ outcome: "unavailable", message: "The engine is dead.", trailers });
    await assert.rejects(service.call("HealthCheck", {}), (thrown) => {
      assert.ok(thrown instanceof GrpcStatusError);
      assert.deepEqual(thrown.trailers, trailers);
      return isStatus("UNAVAILABLE", "The engine is dead.")(thrown);
    });
  });
});
