import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import type { ReadyFacts } from "@tokenwire/engine-core";
import { MockKvPublisher, type MockKvPublisherOptions } from "@tokenwire/engine-core/testing";
import type { Engine } from "../../../engine/engine.ts";
import type { KvEventSource } from "../../../engine/kv-events.ts";
import { CacheReplay } from "../../../engine/testing/cache-replay.ts";
import { CollectingSink } from "../../../engine/testing/collecting-sink.ts";
import { greedySampling } from "../../../engine/testing/sampling.ts";
import { createLog } from "../../../operations/log.ts";
import { type VllmRigOptions, vllmRig } from "../testing/vllm-rig.ts";
import { PrefixCaches } from "./prefix-caches.ts";

/** A block of two tokens as vLLM's publisher tells of it. */
function stored(parent: number | null, ...hashes: readonly number[]) {
  const tokens = hashes.flatMap((hash) => [hash, hash]);
  const block = { block_hashes: [...hashes], parent_block_hash: parent, token_ids: tokens, block_size: 2 };
  return { type: "BlockStored", ...block, medium: "GPU", group_idx: 0, kv_cache_spec_kind: "full_attention" };
}

function removed(...hashes: readonly number[]) {
  return { type: "BlockRemoved", block_hashes: [...hashes], medium: "GPU", group_idx: 0 };
}

function factsOf(rank: number, publisher: MockKvPublisher): ReadyFacts {
  const all = { max_model_len: 2048, kv_events_config: publisher.config };
  const unsaid = { vllmVersion: undefined, dtype: undefined, blockSizeTokens: 2, gpuBlocks: undefined };
  const sizes = { dataParallelSize: undefined, tensorParallelSize: undefined, pipelineParallelSize: undefined };
  const limits = { kvCacheTokens: undefined, maxNumSeqs: undefined, maxNumBatchedTokens: undefined };
  return { engineIndex: rank, maxModelLenTokens: 2048, supportsLora: false, ...unsaid, ...sizes, ...limits, all };
}

async function publisherFor(options?: MockKvPublisherOptions): Promise<MockKvPublisher & Disposable> {
  const publisher = await MockKvPublisher.start(options);
  return Object.assign(publisher, { [Symbol.dispose]: () => publisher.close() });
}

/** What a source told, in short, and the caches that follow from it. */
class Reader {
  readonly told: string[] = [];
  readonly #news = new EventEmitter();
  readonly #caches = new Map<number, CacheReplay>();

  constructor(source: KvEventSource) {
    source.onEvents(({ dpRank, events }) => {
      for (const event of events) {
        if (event.t === "gap") this.#caches.delete(dpRank);
        else this.cache(dpRank).apply(event);
        this.told.push(`${dpRank} ${event.t}`);
      }
      this.#news.emit("news");
    });
  }

  cache(rank: number): CacheReplay {
    const cache = this.#caches.get(rank) ?? new CacheReplay(2);
    this.#caches.set(rank, cache);
    return cache;
  }

  async hears(...told: readonly string[]): Promise<void> {
    while (this.told.length < told.length) await once(this.#news, "news");
    assert.deepEqual(this.told, told);
  }
}

describe("the prefix caches of an engine's ranks", () => {
  it("are told each by itself", async () => {
    using zero = await publisherFor();
    using one = await publisherFor({ dataParallelRank: 1 });
    const caches = new PrefixCaches(createLog("silent"));
    const reader = new Reader(caches.feed);
    await caches.follow({ facts: factsOf(0, zero), host: undefined, wasRunning: false });
    await caches.follow({ facts: factsOf(1, one), host: "127.0.0.1", wasRunning: false });
    await one.publish(stored(null, 1, 2));
    await reader.hears("1 stored");
    await zero.publish(stored(null, 1), removed(1));
    await reader.hears("1 stored", "0 stored", "0 removed");
    assert.deepEqual([reader.cache(0).chains(), reader.cache(1).chains()], [[], ["1,1", "1,1,2,2"]]);
    caches.lost(1);
    await reader.hears("1 stored", "0 stored", "0 removed", "1 cleared");
    caches.close();
  });

  it("of an engine that was running are known from its replay", async () => {
    using publisher = await publisherFor();
    publisher.drop(stored(null, 1));
    const caches = new PrefixCaches(createLog("silent"));
    const reader = new Reader(caches.feed);
    await caches.follow({ facts: factsOf(0, publisher), host: undefined, wasRunning: true });
    assert.deepEqual(reader.told, ["0 stored"]);
    caches.close();
  });

  it("of an engine that was running are a gap where nothing tells of them", async () => {
    using publisher = await publisherFor({ bufferSteps: 0 });
    const caches = new PrefixCaches(createLog("silent"));
    const reader = new Reader(caches.feed);
    await caches.follow({ facts: factsOf(0, publisher), host: undefined, wasRunning: true });
    await reader.hears("0 gap");
    const unreachable = { ...publisher.config, endpoint: "inproc://events" };
    const facts = { ...factsOf(0, publisher), all: { kv_events_config: unreachable } };
    await caches.follow({ facts, host: undefined, wasRunning: true });
    await reader.hears("0 gap", "0 gap");
    caches.close();
  });
});

async function startEngine(options: VllmRigOptions) {
  const rig = vllmRig({ ...options, core: { stepMs: 1, ...options.core } });
  await rig.engine.start();
  const [core] = await rig.cores();
  assert.ok(core !== undefined);
  return { engine: rig.engine, core };
}

async function generate(engine: Engine): Promise<void> {
  const sink = new CollectingSink(1);
  const prompt = { kind: "tokens", tokenIds: Uint32Array.of(300, 301) } as const;
  engine.generate({ id: "a", prompt, sampling: greedySampling({ maxTokens: 2 }) }, sink);
  await sink.end();
}

describe("the vLLM engine", () => {
  it("tells what its core publishes, its flushes and its death", async () => {
    using publisher = await publisherFor();
    const { engine, core } = await startEngine({ core: { ready: { kv_events_config: publisher.config } } });
    assert.ok(engine.kvEvents !== undefined);
    const reader = new Reader(engine.kvEvents);
    await publisher.publish(stored(null, 1), stored(1, 2, 3));
    await reader.hears("0 stored");
    assert.deepEqual(reader.cache(0).chains(), ["1,1", "1,1,2,2", "1,1,2,2,3,3"]);
    assert.equal(await engine.flushCache(), true);
    assert.deepEqual(reader.told, ["0 stored", "0 cleared"]);
    await publisher.publish(stored(null, 4));
    await reader.hears("0 stored", "0 cleared", "0 stored");
    core.die();
    await reader.hears("0 stored", "0 cleared", "0 stored", "0 cleared");
    await engine.close(0);
  });

  it("knows of each step while its core's statistics are on", async () => {
    const { engine, core } = await startEngine({});
    assert.equal(engine.reportsSteps, false);
    await generate(engine);
    assert.equal(engine.reportsSteps, true);
    const before = engine.progress?.steps;
    assert.ok(before !== undefined);
    core.send({ outputs: [], stats: { runningRequests: 1, waitingRequests: 0, kvCacheUsage: 0.1 } });
    core.send({ outputs: [] });
    await engine.checkHealth();
    assert.equal(engine.progress?.steps, before + 1);
    await engine.close(0);
  });

  it("does not claim to without them", async () => {
    const { engine } = await startEngine({ core: { stats: false } });
    await generate(engine);
    assert.equal(engine.reportsSteps, false);
    await engine.close(0);
  });
});
