import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Throughput } from "./throughput.ts";

describe("throughput", () => {
  it("counts what came within the window and forgets the rest", () => {
    let nowMs = 50_000;
    const throughput = new Throughput(2_000, () => nowMs);
    throughput.add(100);
    nowMs += 1_000;
    throughput.add(300);
    assert.equal(throughput.tokensPerSecond, 200);
    nowMs += 1_000;
    assert.equal(throughput.tokensPerSecond, 150);
    nowMs += 1_000;
    assert.equal(throughput.tokensPerSecond, 0);
  });

  it("lies between the sums of a window that is a step shorter and of the whole one, for any history", () => {
    const history = fc.array(fc.record({ afterMs: fc.nat(3_000), tokens: fc.nat(50) }), { maxLength: 60 });
    fc.assert(
      fc.property(history, (events) => {
        let nowMs = 10;
        const throughput = new Throughput(2_000, () => nowMs);
        const seen: { atMs: number; tokens: number }[] = [];
        for (const { afterMs, tokens } of events) {
          nowMs += afterMs;
          throughput.add(tokens);
          seen.push({ atMs: nowMs, tokens });
          const within = (ms: number): number =>
            seen.reduce((sum, event) => sum + (nowMs - event.atMs <= ms ? event.tokens : 0), 0) / 2;
          const rate = throughput.tokensPerSecond;
          assert.ok(rate >= within(1_900) && rate <= within(2_000), `${rate} at ${nowMs} ms`);
        }
      }),
    );
  });
});
