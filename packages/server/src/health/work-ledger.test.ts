import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CollectingSink } from "../engine/testing/collecting-sink.ts";
import { greedySampling } from "../engine/testing/sampling.ts";
import { createMockEngine } from "../engines/mock/mock-engine.ts";
import { ManualClock } from "../operations/testing/manual-clock.ts";
import { watchWork } from "./watch-work.ts";
import { WorkLedger } from "./work-ledger.ts";

async function watched() {
  const clock = new ManualClock();
  const inner = createMockEngine({ stepIntervalMs: "manual", model: { maxNumSeqs: 2 } }, { clock });
  const ledger = new WorkLedger();
  const engine = watchWork(inner, ledger, clock);
  const started = engine.start();
  clock.advance(0);
  await started;
  clock.advance(1000);
  return { clock, inner, ledger, engine };
}

const prompt = { kind: "tokens", tokenIds: new Uint32Array(100).fill(1) } as const;

describe("an engine whose work is watched", () => {
  it("has work from the first request to the last output of all", async () => {
    const { clock, inner, ledger, engine } = await watched();
    const sampling = greedySampling({ maxTokens: 2, n: 2 });
    engine.generate({ id: "a", prompt, sampling }, new CollectingSink(2));
    assert.deepEqual([ledger.requestsInFlight, ledger.workSinceMs], [1, 1000]);
    clock.advance(10);
    inner.step();
    assert.deepEqual([ledger.requestsInFlight, ledger.movedAtMs], [1, 1010]);
    clock.advance(10);
    inner.step();
    assert.deepEqual([ledger.requestsInFlight, ledger.workSinceMs, ledger.movedAtMs], [0, undefined, 1020]);
    await engine.close(0);
  });

  it("knows of prompts that the engine's own sample does not, and forgets them with their first output", async () => {
    const { clock, inner, ledger, engine } = await watched();
    const sampling = greedySampling({ maxTokens: 5 });
    engine.generate({ id: "a", prompt, sampling }, new CollectingSink(1));
    const text = { kind: "text", text: "x".repeat(60), truncateToTokens: 20 } as const;
    engine.generate({ id: "b", prompt: text, sampling }, new CollectingSink(1));
    assert.equal(ledger.prefill(7, 999).pendingTokens, 127);
    assert.equal(ledger.prefill(7, 1001).pendingTokens, 7, "a later sample has them");
    clock.advance(200);
    inner.step();
    assert.deepEqual(ledger.prefill(0, 999), { pendingTokens: 0, tokensPerSecond: 500 });
    await engine.close(0);
  });

  it("learns nothing of prefill from a request that queued", async () => {
    const { clock, inner, ledger, engine } = await watched();
    const sampling = greedySampling({ maxTokens: 1, n: 3 });
    engine.generate({ id: "a", prompt, sampling }, new CollectingSink(3));
    clock.advance(200);
    inner.step();
    assert.equal(ledger.prefill(0, 0).tokensPerSecond, 50);
    await engine.close(0);
  });

  it("has no work left when everything failed or was aborted", async () => {
    const { inner, ledger, engine } = await watched();
    const sampling = greedySampling({ maxTokens: 5 });
    engine.generate({ id: "a", prompt, sampling }, new CollectingSink(1));
    engine.generate({ id: "b", prompt, sampling }, new CollectingSink(1));
    engine.abort("a");
    inner.step();
    assert.equal(ledger.requestsInFlight, 1);
    inner.die("killed");
    assert.deepEqual([ledger.requestsInFlight, ledger.workSinceMs], [0, undefined]);
    assert.throws(() => engine.generate({ id: "c", prompt, sampling }, new CollectingSink(1)));
    assert.equal(ledger.requestsInFlight, 0);
    await engine.close(0);
  });

  it("has work while it embeds, and prompt tokens with it", async () => {
    const { inner, ledger, engine } = await watched();
    const embedding = engine.embed({ id: "e", tokenIds: prompt.tokenIds }, new AbortController().signal);
    assert.deepEqual([ledger.requestsInFlight, ledger.workSinceMs], [0, 1000]);
    assert.equal(ledger.prefill(0, 5000).pendingTokens, 100);
    inner.step();
    await embedding;
    assert.equal(ledger.workSinceMs, undefined);
    await engine.close(0);
    await assert.rejects(engine.embed({ id: "f", tokenIds: prompt.tokenIds }, new AbortController().signal));
    assert.equal(ledger.workSinceMs, undefined);
  });
});
