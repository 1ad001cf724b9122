import assert from "node:assert/strict";
import { test } from "node:test";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { OutputSequence } from "./output/output-sequence.ts";
import { RankLoad, type SchedulerSample } from "./rank-load.ts";

const statsOf = (sample: SchedulerSample | undefined) => ({ schedulerStats: () => sample });
const limits = { maxNumSeqs: 2, kvCacheTokens: 1000 };

function sequenceOf(promptTokens: number): OutputSequence {
  const prompt = Array.from({ length: promptTokens }, () => 1);
  const request = {
    id: "r",
    prompt: { kind: "tokens", tokenIds: Uint32Array.from(prompt) },
    sampling: greedySampling(),
  } as const;
  return new OutputSequence({
    request,
    index: 0,
    prompt,
    sink: new CollectingSink(),
    stops: undefined,
    eosTokenIds: new Set(),
  });
}

function begin(load: RankLoad, sequence: OutputSequence, cachedTokens = 0): void {
  sequence.step({ tokenIds: [5], logprobs: undefined, promptLogprobs: undefined, cachedTokens, end: undefined });
  load.began(sequence);
  load.generated(1);
}

test("without statistics the load is what was handed over and has not come back", () => {
  const load = new RankLoad(3, limits);
  const sequences = [10, 20, 30].map(sequenceOf);
  for (const sequence of sequences) load.handed(sequence);
  const [first] = sequences;
  assert.ok(first !== undefined);
  begin(load, first, 5);
  const { generatedTokensPerSecond, ...figures } = load.load;
  assert.ok(generatedTokensPerSecond > 0);
  assert.deepEqual(figures, {
    dpRank: 3,
    runningRequests: 2,
    waitingRequests: 1,
    waitingPromptTokens: 50,
    usedKvTokens: 11,
    kvCacheTokens: 1000,
    cacheHitRate: 0.5,
    maxRunningRequests: 2,
  });
});

test("the scheduler's own figures count while there is work", () => {
  const load = new RankLoad(0, limits);
  load.handed(sequenceOf(10));
  load.handed(sequenceOf(10));
  load.received(statsOf({ runningRequests: 1, waitingRequests: 1, kvCacheUsage: 0.25 }));
  const { runningRequests, waitingRequests, usedKvTokens } = load.load;
  assert.deepEqual([runningRequests, waitingRequests, usedKvTokens], [1, 1, 250]);
});

test("nothing runs or waits once all was taken back, whatever the last sample said", () => {
  const load = new RankLoad(0, limits);
  const [begun, waiting] = [sequenceOf(10), sequenceOf(20)];
  load.handed(begun);
  load.handed(waiting);
  begin(load, begun);
  load.received(statsOf({ runningRequests: 2, waitingRequests: 1, kvCacheUsage: 0.5 }));
  load.ended(begun, 1);
  load.ended(waiting, 0);
  const { runningRequests, waitingRequests, waitingPromptTokens } = load.load;
  assert.deepEqual([runningRequests, waitingRequests, waitingPromptTokens, load.open], [0, 0, 0, 0]);
});

test("the last figures stand while newer messages have none, or none that can be read", () => {
  const load = new RankLoad(0, limits);
  load.handed(sequenceOf(10));
  load.received(statsOf({ runningRequests: 1, waitingRequests: 0, kvCacheUsage: 0.25 }));
  assert.equal(load.load.usedKvTokens, 250);
  load.received(statsOf(undefined));
  assert.equal(load.load.usedKvTokens, 250);
  load.received({
    schedulerStats: () => {
      throw new Error("no statistics");
    },
  });
  assert.equal(load.load.usedKvTokens, 250);
});
