import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Engine } from "../../engine/engine.ts";
import type { KvCacheEvent } from "../../engine/kv-events.ts";
import { CacheReplay } from "../../engine/testing/cache-replay.ts";
import { CollectingSink } from "../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../engine/testing/sampling.ts";
import { createDemoEngine, readReferencePrompts } from "./testing/demo-model.ts";

const blockSize = 16;
const prompts = readReferencePrompts();

describe("the llama engine's prefix cache", () => {
  let engine: Engine;
  let events: KvCacheEvent[];
  let ids = 0;

  before(async () => {
    // So few sequences that prompts push one another out.
    engine = createDemoEngine({ maxNumSeqs: 3, maxModelLenTokens: 512 });
    events = [];
    assert.ok(engine.kvEvents);
    engine.kvEvents.onEvents(({ dpRank, events: news }) => {
      assert.equal(dpRank, 0);
      events.push(...news);
    });
    await engine.start();
  });
  after(() => engine.close(0));

  async function ask(tokenIds: readonly number[], maxTokens = 24): Promise<CollectingSink> {
    const sink = new CollectingSink(1);
    const prompt = { kind: "tokens", tokenIds: Uint32Array.from(tokenIds) } as const;
    engine.generate({ id: `request-${ids++}`, prompt, sampling: greedySampling({ maxTokens }) }, sink);
    const end = await sink.end();
    if (end.t === "failed") throw end.error;
    return sink;
  }

  function held(): string[] {
    const replay = new CacheReplay(blockSize);
    for (const event of events) replay.apply(event);
    return replay.chains();
  }

  it("gives the tokens that it gives without the cache, for prompts that share beginnings", async () => {
    const system = prompts.flatMap(({ promptIds }) => promptIds).slice(0, 70);
    const asked = prompts.slice(0, 8).flatMap(({ promptIds }) => [[...system, ...promptIds], [...promptIds]]);
    const cold: number[][] = [];
    for (const prompt of asked) {
      assert.equal(await engine.flushCache(), true);
      const sink = await ask(prompt);
      assert.equal(sink.deltas[0]?.cachedTokens, 0);
      cold.push(sink.tokenIds());
    }
    // One after another and all at once: in place, copied from an idle sequence, copied from a running one.
    for (const [i, prompt] of asked.entries()) assert.deepEqual((await ask(prompt)).tokenIds(), cold[i]);
    const together = await Promise.all(asked.map((prompt) => ask(prompt)));
    assert.deepEqual(
      together.map((sink) => sink.tokenIds()),
      cold,
    );
    const reused = together.reduce((sum, { deltas }) => sum + (deltas[0]?.cachedTokens ?? 0), 0);
    assert.ok(reused >= 7 * (system.length - (system.length % blockSize)), `${reused} tokens were taken over`);
  });

  it("counts as cached what its events promised for the prompt, and no block more", async () => {
    await engine.flushCache();
    const prompt = prompts.flatMap(({ promptIds }) => promptIds).slice(0, 100);
    await ask(prompt, 4);
    const promised = new Set(held());
    for (const length of [100, 97, 64, 40, 15]) {
      const asked = prompt.slice(0, length);
      let blocks = 0;
      while (promised.has(asked.slice(0, (blocks + 1) * blockSize).join(",")) && (blocks + 1) * blockSize < length)
        blocks++;
      const cached = (await ask(asked, 1)).deltas[0]?.cachedTokens ?? -1;
      assert.equal(Math.floor(cached / blockSize), blocks, `${length} tokens`);
      assert.ok(cached < length);
    }
  });

  it("tells of the blocks of every prompt and output as they are computed", async () => {
    await engine.flushCache();
    events = [];
    const prompt = prompts.flatMap(({ promptIds }) => promptIds).slice(0, 40);
    const output = (await ask(prompt, 30)).tokenIds();
    // The last token is sampled and not computed.
    const computed = [...prompt, ...output].slice(0, -1);
    const chains = [];
    for (let end = blockSize; end <= computed.length; end += blockSize) chains.push(computed.slice(0, end).join(","));
    assert.deepEqual(held().sort(), chains.sort());
  });

  it("says cleared before a flush is answered, and computes everything again", async () => {
    const prompt = prompts.flatMap(({ promptIds }) => promptIds).slice(0, 50);
    await ask(prompt, 1);
    assert.equal(await engine.flushCache(), true);
    assert.deepEqual(events.at(-1), { t: "cleared" });
    assert.equal((await ask(prompt, 1)).deltas[0]?.cachedTokens, 0);
  });

  it("says cleared when its process dies, before the requests in it fail", async () => {
    const sink = new CollectingSink(1);
    const tokenIds = Uint32Array.from(prompts[0]?.promptIds ?? []);
    let sawCleared = false;
    engine.generate(
      {
        id: "dies",
        prompt: { kind: "tokens", tokenIds },
        sampling: greedySampling({ maxTokens: 400, ignoreEos: true }),
      },
      {
        delta: (delta) => sink.delta(delta),
        failed: (error) => {
          sawCleared = events.at(-1)?.t === "cleared";
          sink.failed(error);
        },
      },
    );
    await sink.count(1);
    const [pid] = engine.processIds ?? [];
    assert.ok(pid !== undefined);
    process.kill(pid, "SIGKILL");
    assert.equal((await sink.end()).t, "failed");
    assert.ok(sawCleared);
  });
});
