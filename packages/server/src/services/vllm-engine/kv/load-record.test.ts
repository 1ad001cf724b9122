import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { briefly, hasMoved, type LoadRecord, type LoadSample, loadRecord } from "./load-record.ts";

const figures = {
  dpRank: 0,
  runningRequests: 2,
  waitingRequests: 1,
  waitingPromptTokens: 100,
  usedKvTokens: 250,
  kvCacheTokens: 1_000,
  generatedTokensPerSecond: 100,
  cacheHitRate: 0.25,
  maxRunningRequests: 4,
};

function record(changes: Partial<typeof figures> = {}, sample: Partial<LoadSample> = {}): LoadRecord {
  const work = { requests: 3, silenceMs: 20, prefillPendingTokens: 7 };
  return loadRecord({ figures: { ...figures, ...changes }, work, ranks: 1, reportsSteps: true, ageMs: 3, ...sample });
}

describe("a load record", () => {
  it("counts as waiting what was handed over and the engine has not counted", () => {
    const work = { requests: 8, silenceMs: 20, prefillPendingTokens: 7 };
    assert.equal(record({}, { work }).waitingRequests, 6);
    assert.equal(record({}, { work }).queues?.waiting, 6);
    assert.equal(record({}, { work, ranks: 2 }).waitingRequests, 1, "which rank has it is not known");
  });

  it("does not count twice what the engine has counted", () => assert.equal(record().waitingRequests, 1));

  it("takes the share that prompts find in the cache off the queued tokens", () =>
    assert.equal(record().waitingUncachedTokens, 75));

  it("tells of no silence without requests in flight", () => {
    const work = { requests: 0, silenceMs: undefined, prefillPendingTokens: 0 };
    assert.equal(record({}, { work }).engineSilenceMs, undefined);
  });

  it("has not moved when nothing has, and has with any figure that a router goes by", () => {
    assert.equal(hasMoved(record(), record()), false);
    const small = { usedKvTokens: 254, generatedTokensPerSecond: 104 };
    assert.equal(hasMoved(record(), record(small)), false);
    const moves: Partial<typeof figures>[] = [
      { runningRequests: 3 },
      { waitingRequests: 2 },
      { waitingPromptTokens: 104 },
      { usedKvTokens: 256 },
      { generatedTokensPerSecond: 106 },
      { maxRunningRequests: 3 },
    ];
    for (const change of moves) assert.equal(hasMoved(record(), record(change)), true, JSON.stringify(change));
    for (const [silenceMs, moved] of [
      [undefined, true],
      [219, false],
      [220, true],
    ] as const) {
      const work = { requests: 3, silenceMs, prefillPendingTokens: 7 };
      assert.equal(hasMoved(record(), record({}, { work })), moved, `${silenceMs}`);
    }
  });

  it("is brief between heartbeats, and then hides no figure that a router goes by", () => {
    const brief = briefly(record());
    assert.equal(brief.numUsedTokens, undefined);
    assert.equal(hasMoved(record(), brief), false);
  });
});
