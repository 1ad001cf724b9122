import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Engine } from "../../engine/engine.ts";
import { createMockEngine } from "../../engines/mock/mock-engine.ts";
import type { FlushCacheResponse } from "../../generated/common.ts";
import { ManualWait } from "./testing/manual-wait.ts";
import { ScriptedCall } from "./testing/scripted-call.ts";
import { isStatus, serviceOver, serviceUnderTest } from "./testing/service-under-test.ts";

/** A ready engine whose tries are answered by the test; undefined never answers. */
async function engineWith(answers: (boolean | undefined)[]): Promise<Engine> {
  const engine = createMockEngine({});
  await engine.start();
  const flushCache = () => {
    const answer = answers.shift();
    return answer === undefined ? new Promise<boolean>(() => {}) : Promise.resolve(answer);
  };
  return new Proxy(engine, {
    get(target, name) {
      if (name === "flushCache") return flushCache;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

describe("FlushCache", () => {
  for (const timeoutS of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`refuses the time ${timeoutS}`, async () => {
      const service = await serviceUnderTest();
      const text = `timeout_s must be finite and non-negative, got ${timeoutS}`;
      await assert.rejects(service.call("FlushCache", { timeoutS }), isStatus("INVALID_ARGUMENT", text));
      await service.engine.close(0);
    });
  }

  it("flushes an idle engine", async () => {
    const service = await serviceUnderTest();
    const answer = await service.call<FlushCacheResponse>("FlushCache", { timeoutS: 0 });
    assert.equal(answer.success, true);
    await service.engine.close(0);
  });

  it("tries once without a time and says that requests hold the cache", async () => {
    const answers = [false, true];
    const service = serviceOver(await engineWith(answers), new ManualWait());
    const answer = await service.call<FlushCacheResponse>("FlushCache", { timeoutS: 0 });
    assert.deepEqual([answer.success, answer.message], [false, "requests in flight hold the cache"]);
    assert.equal(answers.length, 1);
  });

  it("tries again every 100 ms until it succeeds", async () => {
    const time = new ManualWait();
    const service = serviceOver(await engineWith([false, false, true]), time);
    const flushing = service.call<FlushCacheResponse>("FlushCache", { timeoutS: 1 });
    for (let retry = 0; retry < 2; retry++) {
      await pause(time);
      time.advance(100);
    }
    assert.equal((await flushing).success, true);
    assert.equal(time.now(), 1_000_200);
  });

  it("gives up with success=false when the time is over", async () => {
    const time = new ManualWait();
    const service = serviceOver(await engineWith(Array(10).fill(false)), time);
    const flushing = service.call<FlushCacheResponse>("FlushCache", { timeoutS: 0.25 });
    for (let retry = 0; retry < 2; retry++) {
      await pause(time);
      time.advance(100);
    }
    assert.equal((await flushing).success, false);
  });

  it("is DEADLINE_EXCEEDED when the engine does not answer, after 30 s without a time", async () => {
    const time = new ManualWait();
    const service = serviceOver(await engineWith([undefined]), time);
    const flushing = service.call("FlushCache", { timeoutS: 0 });
    await time.until(1);
    time.advance(29_999);
    assert.equal(time.waiting, 1);
    time.advance(1);
    await assert.rejects(flushing, isStatus("DEADLINE_EXCEEDED", "within 30000 ms"));
  });

  it("ends with its call, and is UNAVAILABLE without an engine", async () => {
    const time = new ManualWait();
    const call = new ScriptedCall<FlushCacheResponse>();
    const flushing = serviceOver(await engineWith([undefined]), time).call("FlushCache", { timeoutS: 5 }, call);
    await time.until(1);
    call.cancel();
    await assert.rejects(flushing, isStatus("CANCELLED"));
    const unready = serviceOver(createMockEngine({})).call("FlushCache", { timeoutS: 0 });
    await assert.rejects(unready, isStatus("UNAVAILABLE", "starting"));
  });
});

/** Waits until a refused try has begun its pause: the try's own timer has come and gone by then. */
async function pause(time: ManualWait): Promise<void> {
  await setImmediate();
  await time.until(1);
}
