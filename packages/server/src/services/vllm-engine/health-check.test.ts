import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import type { HealthCheckResponse } from "../../generated/vllm_engine.ts";
import { checkTimeoutMs } from "./health-check.ts";
import { ManualWait } from "./testing/manual-wait.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { isStatus, serviceOver, serviceUnderTest } from "./testing/service-under-test.ts";

describe("HealthCheck", () => {
  it("is healthy after a round trip through the engine's steps", async () => {
    const service = await serviceUnderTest();
    const check = service.call<HealthCheckResponse>("HealthCheck", {});
    service.engine.step();
    assert.deepEqual(await check, { healthy: true, message: "the engine answers" });
    await service.engine.close(0);
  });

  it("is UNAVAILABLE while the engine starts, when it is dead and when it is closed", async () => {
    const engine = createMockEngine({ stepIntervalMs: "manual" });
    const service = serviceOver(engine);
    await assert.rejects(service.call("HealthCheck", {}), isStatus("UNAVAILABLE", "the engine is starting"));
    const started = engine.start();
    await assert.rejects(service.call("HealthCheck", {}), isStatus("UNAVAILABLE", "the engine is starting"));
    await started;
    engine.die("out of memory");
    await assert.rejects(service.call("HealthCheck", {}), isStatus("UNAVAILABLE", "the engine is dead: out of memory"));
    await engine.close(0);
    await assert.rejects(service.call("HealthCheck", {}), isStatus("UNAVAILABLE", "the engine is closed"));
  });

  it("is UNAVAILABLE while the server drains, although the engine is well", async () => {
    const service = await serviceUnderTest({}, { draining: () => true });
    await assert.rejects(service.call("HealthCheck", {}), isStatus("UNAVAILABLE", "shutting down"));
    await service.engine.close(0);
  });

  it("is not healthy when the engine does not answer in time, and healthy again when it does", async () => {
    const time = new ManualWait();
    const service = await serviceUnderTest({}, time);
    service.engine.hang();
    const check = service.call<HealthCheckResponse>("HealthCheck", {});
    await time.until(1);
    time.advance(checkTimeoutMs);
    assert.deepEqual(await check, { healthy: false, message: "the engine did not answer within 900 ms" });
    service.engine.resume();
    const again = service.call<HealthCheckResponse>("HealthCheck", {});
    service.engine.step();
    assert.equal((await again).healthy, true);
    assert.equal(time.waiting, 0, "no timer is left behind");
    await service.engine.close(0);
  });

  it("has one round trip under way, however many ask a hung engine", async () => {
    const time = new ManualWait();
    const engine = createMockEngine({ stepIntervalMs: "manual" });
    await engine.start();
    let roundTrips = 0;
    const counted = new Proxy(engine, {
      get(target, name) {
        if (name === "checkHealth") roundTrips += 1;
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const service = serviceOver(counted, time);
    engine.hang();
    for (let probe = 0; probe < 3; probe++) {
      const checks = [service.call("HealthCheck", {}), service.call("HealthCheck", {})];
      await time.until(2);
      time.advance(checkTimeoutMs);
      await Promise.all(checks);
    }
    assert.equal(roundTrips, 1);
    await engine.close(0);
  });

  it("is UNAVAILABLE when the engine dies during the round trip", async () => {
    const service = await serviceUnderTest();
    const check = service.call("HealthCheck", {});
    service.engine.die("killed");
    await assert.rejects(check, isStatus("UNAVAILABLE", "the engine is dead: killed"));
    await service.engine.close(0);
  });

  it("ends with its call", async () => {
    const service = await serviceUnderTest();
    const call = new ScriptedCall<HealthCheckResponse>();
    service.engine.hang();
    const check = service.call("HealthCheck", {}, call);
    call.cancel();
    await assert.rejects(check, isStatus("CANCELLED"));
    await service.engine.close(0);
  });
});
