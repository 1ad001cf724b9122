import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EngineError } from "../../engine/errors.ts";
import type { SamplingParams } from "../../engine/request.ts";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { describeEngineContract } from "../../engine/testing/engine-contract.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { ManualClock } from "../../operations/testing/manual-clock.ts";
import { createMockEngine, type MockControls } from "./mock-engine.ts";
import type { MockScript } from "./mock-script.ts";

describeEngineContract("the scripted engine", {
  createEngine: ({ maxNumSeqs }) =>
    createMockEngine({ stepIntervalMs: 0, model: { maxNumSeqs, maxModelLenTokens: 512 } }),
  prompt: Uint32Array.from(Buffer.from("a prompt")),
  text: "a prompt",
  stopString: "scripted",
});

describe("a scripted engine", () => {
  async function ready(script: MockScript) {
    const clock = new ManualClock();
    const engine = createMockEngine({ stepIntervalMs: 10, ...script }, { clock });
    const started = engine.start();
    clock.advance(0);
    await started;
    return { engine, clock };
  }

  function generate(engine: ReturnType<typeof createMockEngine>, changes: Partial<SamplingParams> = {}, id = "r") {
    const sampling = greedySampling({ maxTokens: undefined, ...changes });
    const sink = new CollectingSink(sampling.n);
    engine.generate({ id, prompt: { kind: "tokens", tokenIds: Uint32Array.of(1, 2, 3) }, sampling }, sink);
    return sink;
  }

  it("says its script, one token per step, and ends with EOS", async () => {
    const { engine } = await ready({ stepIntervalMs: "manual", outputs: [[5, 6], "hi"] });
    const first = generate(engine);
    const second = generate(engine, {}, "second");
    engine.step();
    assert.deepEqual(first.tokenIds(), [5]);
    engine.step(2);
    assert.deepEqual([first.tokenIds(), first.finish()], [[5, 6, 257], { reason: "stop" }]);
    assert.deepEqual(second.tokenIds(), [0x68, 0x69, 257]);
    await engine.close(0);
  });

  it("starts late when the script says so", async () => {
    const clock = new ManualClock();
    const engine = createMockEngine({ start: { delayMs: 500 } }, { clock });
    const started = engine.start();
    clock.advance(499);
    assert.equal(engine.state.t, "starting");
    clock.advance(1);
    await started;
    assert.equal(engine.state.t, "ready");
    await engine.close(0);
  });

  it("fails its start when the script says so", async () => {
    const clock = new ManualClock();
    const engine = createMockEngine({ start: { fail: "no such model" } }, { clock });
    const started = engine.start();
    clock.advance(0);
    await assert.rejects(started, (thrown) => EngineError.from(thrown).kind === "failed-precondition");
    assert.deepEqual(engine.state, { t: "dead", reason: "no such model", restartInMs: undefined });
    await engine.close(0);
  });

  it("rejects a start that a close cuts short", async () => {
    const engine = createMockEngine({ start: { delayMs: 500 } }, { clock: new ManualClock() });
    const started = engine.start();
    await engine.close(0);
    await assert.rejects(started, (thrown) => EngineError.from(thrown).kind === "unavailable");
  });

  it("paces its steps by the interval, and slower after a slow fault", async () => {
    const at = { afterSteps: 2 };
    const { engine, clock } = await ready({ faults: [{ kind: "slow", at, stepIntervalMs: 100 }] });
    const sink = generate(engine);
    clock.advance(20);
    assert.equal(sink.deltas.length, 2);
    clock.advance(99);
    assert.equal(sink.deltas.length, 2);
    clock.advance(1);
    assert.equal(sink.deltas.length, 3);
    await engine.close(0);
  });

  it("makes no step and answers no health check during a stall, and goes on after it", async () => {
    const { engine, clock } = await ready({ faults: [{ kind: "stall", at: { afterMs: 15 }, forMs: 1000 }] });
    const sink = generate(engine);
    clock.advance(15);
    assert.equal(sink.deltas.length, 1);
    let healthy = false;
    const check = engine.checkHealth().then(() => {
      healthy = true;
    });
    clock.advance(999);
    await Promise.resolve();
    assert.deepEqual([sink.deltas.length, healthy], [1, false]);
    clock.advance(11);
    await check;
    assert.equal(sink.deltas.length, 2);
    await engine.close(0);
  });

  it("hangs for ever: nothing moves, an abort neither, until it is closed", async () => {
    const { engine, clock } = await ready({ faults: [{ kind: "hang", at: { afterSteps: 1 } }] });
    const sink = generate(engine);
    clock.advance(10);
    const check = engine.checkHealth();
    engine.abort("r");
    clock.advance(1_000_000);
    assert.deepEqual([sink.deltas.length, sink.ended, engine.state.t], [1, false, "ready"]);
    await engine.close(0);
    const end = await sink.end();
    assert.ok(end.t === "failed" && end.error.kind === "unavailable");
    await assert.rejects(check, (thrown) => EngineError.from(thrown).kind === "unavailable");
  });

  it("dies: everything in flight fails unavailable, and it comes back when the script says so", async () => {
    const fault = { kind: "die", at: { afterSteps: 1 }, reason: "killed", restartInMs: 200 } as const;
    const { engine, clock } = await ready({ faults: [fault] });
    const sink = generate(engine);
    const check = engine.checkHealth();
    clock.advance(10);
    await check;
    const end = await sink.end();
    assert.ok(end.t === "failed" && end.error.kind === "unavailable");
    assert.deepEqual(engine.state, { t: "dead", reason: "killed", restartInMs: 200 });
    assert.throws(() => generate(engine), /dead: killed/);
    clock.advance(200);
    assert.equal(engine.state.t, "ready");
    assert.equal(engine.progress?.steps, 0);
    const again = generate(engine, { maxTokens: 1 });
    clock.advance(10);
    assert.deepEqual(again.finish(), { reason: "length" });
    await engine.close(0);
  });

  it("fails the request that the script names, after the tokens it names", async () => {
    const error = { kind: "resource-exhausted", message: "no memory" } as const;
    const { engine } = await ready({
      stepIntervalMs: "manual",
      faults: [{ kind: "error", request: 2, afterTokens: 2, error }],
    });
    const first = generate(engine, { maxTokens: 4 }, "1");
    const second = generate(engine, { maxTokens: 4 }, "2");
    engine.step(4);
    assert.deepEqual(first.finish(), { reason: "length" });
    const end = await second.end();
    assert.ok(end.t === "failed");
    assert.deepEqual([end.error.kind, end.error.message, end.deltas.length], ["resource-exhausted", "no memory", 2]);
    await engine.close(0);
  });

  it("reports cached tokens and the hit rate as scripted", async () => {
    const { engine } = await ready({ stepIntervalMs: "manual", cachedTokens: 2 });
    const sink = generate(engine, { maxTokens: 1 });
    engine.step();
    assert.equal(sink.deltas[0]?.cachedTokens, 2);
    assert.equal(engine.loads()[0]?.cacheHitRate, 2 / 3);
    await engine.close(0);
  });

  it("counts the tokens of the last two seconds", async () => {
    const { engine, clock } = await ready({});
    generate(engine, { maxTokens: 10 });
    clock.advance(100);
    assert.equal(engine.loads()[0]?.generatedTokensPerSecond, 5);
    clock.advance(2000);
    assert.equal(engine.loads()[0]?.generatedTokensPerSecond, 0);
    await engine.close(0);
  });

  it("can be pulled by hand", async () => {
    const { engine, clock } = await ready({});
    const controls: MockControls = engine;
    controls.hang();
    const sink = generate(engine);
    clock.advance(100);
    assert.equal(sink.deltas.length, 0);
    controls.resume();
    clock.advance(10);
    assert.equal(sink.deltas.length, 1);
    assert.deepEqual(
      controls.received.map((request) => request.id),
      ["r"],
    );
    await engine.close(0);
  });

  it("refuses to embed or to generate when its model does not", async () => {
    const { engine } = await ready({ model: { embeddingDim: 0, isGeneration: false } });
    const { signal } = new AbortController();
    const isUnimplemented = (thrown: unknown) => EngineError.from(thrown).kind === "unimplemented";
    await assert.rejects(engine.embed({ id: "e", tokenIds: Uint32Array.of(1) }, signal), isUnimplemented);
    assert.throws(() => generate(engine), isUnimplemented);
    await engine.close(0);
  });

  it("gives an embedding up when its signal fires", async () => {
    const { engine } = await ready({ stepIntervalMs: "manual" });
    const abort = new AbortController();
    const embedding = engine.embed({ id: "e", tokenIds: Uint32Array.of(1) }, abort.signal);
    abort.abort();
    await assert.rejects(embedding, (thrown) => EngineError.from(thrown).kind === "unavailable");
    await engine.close(0);
  });
});
