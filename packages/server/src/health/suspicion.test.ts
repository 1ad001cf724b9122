import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isSuspicious, type Silence } from "./suspicion.ts";
import { healthThresholds } from "./thresholds.ts";

const thresholds = healthThresholds({ stallFloorMs: 5000, stallCeilingMs: 60_000, hangTimeoutMs: 120_000 });

/** The first whole 100 ms at which the silence is suspicious. */
function suspiciousAfterMs(changes: Partial<Silence> = {}): number {
  const times = { count: 100, meanMs: 10, deviationMs: 1 };
  const silence = { times, extensionMs: 0, isProcessStopped: false, ...changes };
  for (let forMs = 0; ; forMs += 100) if (isSuspicious({ ...silence, forMs }, thresholds)) return forMs;
}

describe("isSuspicious", () => {
  it("is not before the floor, however fast the engine was", () => {
    assert.equal(suspiciousAfterMs(), 5000);
  });

  it("waits for what slow steps explain: 10 s of mean and 5.612 deviations of a quarter", () => {
    // 10,000 + 5.612 · 2,500 = 24,030
    assert.equal(suspiciousAfterMs({ times: { count: 9, meanMs: 10_000, deviationMs: 0 } }), 24_100);
  });

  it("is from the ceiling on, whatever was observed or handed over", () => {
    assert.equal(suspiciousAfterMs({ times: { count: 9, meanMs: 50_000, deviationMs: 30_000 } }), 60_000);
    assert.equal(suspiciousAfterMs({ extensionMs: 1e9 }), 60_000);
  });

  it("gives the time for prompts on top of everything", () => {
    assert.equal(suspiciousAfterMs({ extensionMs: 7000 }), 12_000);
  });

  it("asks for the floor alone when the process is stopped", () => {
    const times = { count: 9, meanMs: 10_000, deviationMs: 0 };
    assert.equal(suspiciousAfterMs({ times, extensionMs: 9000, isProcessStopped: true }), 5000);
  });
});
