import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../engine/engine.ts";
import type { EngineLoad } from "../engine/facts.ts";
import type { OutputDelta } from "../engine/output.ts";
import { createMockEngine } from "../engines/mock/mock-engine.ts";
import { createLog, type Log } from "../operations/log.ts";
import { countTokens, logTraffic, type TokenCounts, trafficLine } from "./traffic.ts";

const load: EngineLoad = {
  dpRank: 0,
  runningRequests: 2,
  waitingRequests: 1,
  waitingPromptTokens: 0,
  usedKvTokens: 25,
  kvCacheTokens: 200,
  generatedTokensPerSecond: 0,
  cacheHitRate: 0,
  maxRunningRequests: 4,
};

const quiet = { elapsedMs: 10_000, promptTokens: 0, cachedTokens: 0, generatedTokens: 0, loads: [] };

test("the line has rates per second, queues and shares of the cache", () => {
  const sample = { ...quiet, promptTokens: 150, cachedTokens: 30, generatedTokens: 42, loads: [load] };
  assert.equal(
    trafficLine(sample),
    "Avg prompt throughput: 15.0 tokens/s, Avg generation throughput: 4.2 tokens/s, Running: 2 reqs, Waiting: 1 reqs, KV cache usage: 12.5%, Prefix cache hit rate: 20.0%",
  );
});

test("there is no line without traffic, and one while a request runs without tokens", () => {
  const idle = { ...load, runningRequests: 0, waitingRequests: 0 };
  assert.equal(trafficLine(quiet), undefined);
  assert.equal(trafficLine({ ...quiet, loads: [idle] }), undefined);
  assert.match(trafficLine({ ...quiet, loads: [load] }) ?? "", /generation throughput: 0\.0 tokens\/s, Running: 2/);
});

test("a counted engine is the engine, and its tokens are counted once per request", async () => {
  const counts: TokenCounts = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };
  const engine: Engine = countTokens(createMockEngine({ outputs: ["abc"], cachedTokens: 2 }), counts);
  await engine.start();
  assert.equal(engine.name, "mock");
  assert.equal(engine.state.t, "ready");
  const deltas: OutputDelta[] = [];
  await new Promise<void>((resolve, reject) => {
    let open = 2;
    engine.generate(
      {
        id: "r",
        prompt: { kind: "tokens", tokenIds: Uint32Array.of(1, 2, 3, 4) },
        sampling: {
          temperature: 0,
          topP: 1,
          topK: 0,
          minP: 0,
          frequencyPenalty: 0,
          presencePenalty: 0,
          repetitionPenalty: 1,
          maxTokens: 10,
          minTokens: 0,
          stop: [],
          stopTokenIds: [],
          ignoreEos: false,
          n: 2,
          constraint: undefined,
          logprobs: undefined,
          promptLogprobs: undefined,
          seed: undefined,
          logitBias: new Map(),
        },
      },
      {
        delta: (delta) => {
          deltas.push(delta);
          if (delta.finish !== undefined && --open === 0) resolve();
        },
        failed: reject,
      },
    );
  });
  await engine.close(0);
  const generatedTokens = deltas.reduce((total, delta) => total + delta.tokenIds.length, 0);
  assert.ok(generatedTokens >= 6);
  assert.deepEqual(counts, { promptTokens: 4, cachedTokens: 2, generatedTokens });
});

test("every ten seconds there is one line while tokens move, and silence after", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const lines: string[] = [];
  const log = { ...createLog("silent"), info: (line: string) => lines.push(line) } as unknown as Log;
  const counts: TokenCounts = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0 };
  const stop = logTraffic(createMockEngine({}), counts, log);
  t.mock.timers.tick(10_000);
  assert.deepEqual(lines, []);
  counts.promptTokens += 4;
  counts.cachedTokens += 1;
  t.mock.timers.tick(10_000);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^Avg prompt throughput: .*Prefix cache hit rate: 25\.0%$/);
  t.mock.timers.tick(20_000);
  assert.equal(lines.length, 1);
  stop();
  counts.generatedTokens += 1;
  t.mock.timers.tick(10_000);
  assert.equal(lines.length, 1);
});
