import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Engine } from "../engine.ts";
import { EngineError, type EngineErrorKind } from "../errors.ts";
import type { OutputDelta } from "../output.ts";
import type { Prompt, SamplingParams } from "../request.ts";
import { CacheReplay } from "./cache-replay.ts";
import { CollectingSink } from "./collecting-sink.ts";
import { greedySampling } from "./sampling.ts";

/** Parts of the contract that an engine may lack; each is then expected to fail `unimplemented` or is left out. */
export type ContractPart = "stop-strings" | "text-prompts" | "prompt-logprobs" | "flush-cache";

/** What the contract must know about an engine to try it. */
export interface EngineContractOptions {
  /** Makes an engine that was not started. The contract starts and closes it. */
  createEngine(settings: { readonly maxNumSeqs: number }): Engine | Promise<Engine>;
  /**
   * A prompt whose greedy answer is not one token repeated and which leaves a few hundred tokens of the context free,
   * so that a request without bounds runs for a while.
   */
  readonly prompt: Uint32Array;
  /** The same for a text prompt. */
  readonly text: string;
  /** A text that the greedy answer to `prompt` says within its first 32 tokens, but not within its first token. */
  readonly stopString: string;
  readonly skip?: readonly ContractPart[];
}

/**
 * Registers the tests that every engine passes. They wait for the engine's own pushes and never sleep; one engine
 * with two slots serves all of them but those of start and close.
 */
export function describeEngineContract(name: string, options: EngineContractOptions): void {
  describe(`the engine contract, kept by ${name}`, () => {
    describeRunning(options);
    describeLifecycle(options);
  });
}

const slots = 2;

/** An endless request: it runs until the context is full, or an abort. */
const endless: Partial<SamplingParams> = { ignoreEos: true, maxTokens: undefined };

function describeRunning(options: EngineContractOptions): void {
  const skips = new Set(options.skip ?? []);
  let engine: Engine;
  let ids = 0;

  before(async () => {
    engine = await options.createEngine({ maxNumSeqs: slots });
    await engine.start();
  });
  after(() => engine.close(0));

  function generate(changes: Partial<SamplingParams> = {}, prompt?: Prompt) {
    const id = `contract-${ids++}`;
    const sampling = greedySampling(changes);
    const sink = new CollectingSink(sampling.n);
    engine.generate({ id, prompt: prompt ?? { kind: "tokens", tokenIds: options.prompt }, sampling }, sink);
    return { id, sink };
  }

  async function finished(changes: Partial<SamplingParams> = {}, prompt?: Prompt) {
    const { sink } = generate(changes, prompt);
    const end = await sink.end();
    if (end.t === "failed") throw end.error;
    return sink;
  }

  it("is ready after the start and knows its model", () => {
    assert.equal(engine.state.t, "ready");
    const facts = engine.facts();
    assert.ok(facts.vocabSize > 0 && facts.maxModelLenTokens > options.prompt.length);
    assert.equal(facts.maxNumSeqs, slots);
    assert.ok(facts.kvCacheTokens > 0 && facts.blockSizeTokens >= 1);
    for (const id of facts.eosTokenIds) assert.ok(id >= 0 && id < facts.vocabSize);
  });

  it("answers greedily with deltas that count the prompt and end once", async () => {
    const sink = await finished({ maxTokens: 12, ignoreEos: true });
    assert.equal(sink.tokenIds().length, 12);
    assert.deepEqual(sink.finish(), { reason: "length" });
    for (const delta of sink.deltas) {
      assert.equal(delta.promptTokens, options.prompt.length);
      assert.ok(delta.cachedTokens >= 0 && delta.cachedTokens < options.prompt.length);
      assert.ok(delta.tokenIds.length > 0 || delta.finish !== undefined);
    }
    const again = await finished({ maxTokens: 12, ignoreEos: true });
    assert.deepEqual(again.tokenIds(), sink.tokenIds());
  });

  it("interleaves n outputs and finishes each once", async () => {
    const sink = await finished({ n: 2, temperature: 1, seed: 7, maxTokens: 8, ignoreEos: true });
    assert.deepEqual([sink.finish(0), sink.finish(1)], [{ reason: "length" }, { reason: "length" }]);
    assert.deepEqual([sink.tokenIds(0).length, sink.tokenIds(1).length], [8, 8]);
    const firstEnd = sink.deltas.findIndex((delta) => delta.finish !== undefined);
    const indexesBefore = new Set(sink.deltas.slice(0, firstEnd).map((delta) => delta.index));
    assert.equal(indexesBefore.size, 2, "both outputs must have begun before one ends");
  });

  it("finishes n outputs that do not fit its slots", async () => {
    const n = slots * 2 + 1;
    const sink = await finished({ n, temperature: 1, seed: 3, maxTokens: 4, ignoreEos: true });
    for (let index = 0; index < n; index++) assert.equal(sink.tokenIds(index).length, 4);
  });

  it("repeats an answer for the same seed", async () => {
    const seeded = { temperature: 1, seed: 42, maxTokens: 8, ignoreEos: true };
    const first = await finished(seeded);
    const second = await finished(seeded);
    assert.deepEqual(second.tokenIds(), first.tokenIds());
  });

  it("finishes more requests than it has slots", async () => {
    const sinks = await Promise.all(Array.from({ length: slots * 3 }, () => finished({ maxTokens: 4 })));
    for (const sink of sinks) assert.equal(sink.deltas.filter((delta) => delta.finish !== undefined).length, 1);
  });

  it("frees the slot of an aborted request at once and ends its stream with abort", async () => {
    const running = Array.from({ length: slots }, () => generate(endless));
    await Promise.all(running.map(({ sink }) => sink.count(1)));
    const queued = generate({ ...endless, maxTokens: 1 });
    const [aborted, ...others] = running;
    assert.ok(aborted !== undefined);
    engine.abort(aborted.id);
    await aborted.sink.end();
    assert.deepEqual(aborted.sink.finish(), { reason: "abort" });
    await queued.sink.end();
    assert.deepEqual(queued.sink.finish(), { reason: "length" });
    for (const { id, sink } of others) {
      assert.equal(sink.ended, false, "the slot must come from the abort");
      engine.abort(id);
    }
    await Promise.all(others.map(({ sink }) => sink.end()));
  });

  it("ends every output of an aborted request, those that wait for a slot too", async () => {
    const { id, sink } = generate({ ...endless, n: slots * 2, temperature: 1 });
    await sink.count(1);
    engine.abort(id);
    await sink.end();
    for (let index = 0; index < slots * 2; index++) assert.deepEqual(sink.finish(index), { reason: "abort" });
  });

  it("does nothing when an unknown or ended request is aborted", async () => {
    const { id, sink } = generate({ maxTokens: 2, ignoreEos: true });
    engine.abort("nobody");
    await sink.end();
    engine.abort(id);
    await engine.checkHealth();
    assert.deepEqual(sink.finish(), { reason: "length" });
  });

  it("stops at a stop token, says which, and keeps it in the ids", async () => {
    const plain = (await finished({ maxTokens: 12, ignoreEos: true })).tokenIds();
    const stopId = plain.find((id) => id !== plain[0]);
    assert.ok(stopId !== undefined, "the prompt must give an answer of different tokens");
    const sink = await finished({ maxTokens: 12, ignoreEos: true, stopTokenIds: [stopId] });
    assert.deepEqual(sink.finish(), { reason: "stop", matched: { tokenId: stopId } });
    assert.deepEqual(sink.tokenIds(), plain.slice(0, plain.indexOf(stopId) + 1));
  });

  it("stops at a stop string and says which", { skip: skips.has("stop-strings") }, async () => {
    const stop = ["\u{10ffff} never said", options.stopString];
    const sink = await finished({ maxTokens: 64, ignoreEos: true, stop });
    assert.deepEqual(sink.finish(), { reason: "stop", matched: { text: options.stopString } });
    assert.ok(sink.tokenIds().length > 1 && sink.tokenIds().length <= 32);
  });

  it("does not stop before minTokens", async () => {
    const plain = (await finished({ maxTokens: 4, ignoreEos: true })).tokenIds();
    const sink = await finished({ minTokens: 8, maxTokens: 12, stopTokenIds: [...new Set(plain)] });
    assert.ok(sink.tokenIds().length >= 8);
  });

  it("ends with length when the context is full", async () => {
    const sink = await finished(endless);
    assert.deepEqual(sink.finish(), { reason: "length" });
    const total = options.prompt.length + sink.tokenIds().length;
    assert.ok(total <= engine.facts().maxModelLenTokens, `${total} tokens do not fit the context`);
  });

  it("gives one logprob per token and the k best in falling order", async () => {
    const sink = await finished({ logprobs: 3, maxTokens: 4, ignoreEos: true });
    for (const delta of sink.deltas) checkOutputLogprobs(delta, 3, true);
  });

  it("gives the sampled token's logprob alone for logprobs 0, and none when not asked", async () => {
    const alone = await finished({ logprobs: 0, maxTokens: 3, ignoreEos: true });
    for (const delta of alone.deltas) checkOutputLogprobs(delta, 0, true);
    const none = await finished({ maxTokens: 3, ignoreEos: true });
    for (const delta of none.deltas) assert.equal(delta.logprobs, undefined);
  });

  it("gives the prompt's logprobs on the first delta", { skip: skips.has("prompt-logprobs") }, async () => {
    const sink = await finished({ promptLogprobs: 2, maxTokens: 3, ignoreEos: true });
    const [first, ...rest] = sink.deltas;
    const logprobs = first?.promptLogprobs;
    assert.ok(logprobs !== undefined);
    assert.deepEqual([...logprobs.tokenIds], Array.from(options.prompt));
    assert.equal(logprobs.tokenLogprobs.length, options.prompt.length);
    assert.equal(logprobs.tokenLogprobs[0], undefined);
    assert.deepEqual(logprobs.top[0], { tokenIds: [], values: [] });
    for (let position = 1; position < options.prompt.length; position++) {
      assert.ok((logprobs.tokenLogprobs[position] ?? 1) <= 0);
      assert.equal(logprobs.top[position]?.tokenIds.length, 2);
    }
    for (const delta of rest) assert.equal(delta.promptLogprobs, undefined);
  });

  it("takes a text prompt", { skip: skips.has("text-prompts") }, async () => {
    const sink = await finished({ maxTokens: 2 }, { kind: "text", text: options.text, truncateToTokens: undefined });
    assert.ok((sink.deltas[0]?.promptTokens ?? 0) > 0);
  });

  it("keeps the last tokens of a truncated text", { skip: skips.has("text-prompts") }, async () => {
    const text = options.text.repeat(4);
    const sink = await finished({ maxTokens: 2 }, { kind: "text", text, truncateToTokens: 3 });
    assert.equal(sink.deltas[0]?.promptTokens, 3);
  });

  it("fails a text beyond the context with the field's name", { skip: skips.has("text-prompts") }, async () => {
    const text = options.text.repeat(engine.facts().maxModelLenTokens);
    const { sink } = generate({}, { kind: "text", text, truncateToTokens: undefined });
    const end = await sink.end();
    assert.ok(end.t === "failed");
    assert.deepEqual([end.error.kind, end.error.field], ["invalid-argument", "text"]);
    assert.equal(end.deltas.length, 0);
  });

  it("answers a health check, idle and busy", async () => {
    await engine.checkHealth();
    const { id, sink } = generate(endless);
    await sink.count(1);
    await engine.checkHealth();
    engine.abort(id);
    await sink.end();
  });

  it("shows its load while it works", async () => {
    const { id, sink } = generate(endless);
    await sink.count(3);
    const loads = engine.loads();
    assert.equal(loads[0]?.dpRank, 0);
    for (const load of loads) {
      assert.equal(load.maxRunningRequests, slots);
      assert.ok(load.kvCacheTokens > 0 && load.usedKvTokens >= 0 && load.usedKvTokens <= load.kvCacheTokens);
      assert.ok(load.cacheHitRate >= 0 && load.cacheHitRate <= 1);
      assert.ok(load.generatedTokensPerSecond >= 0 && load.waitingPromptTokens >= 0);
    }
    assert.ok(loads.some((load) => load.runningRequests + load.waitingRequests >= 1));
    engine.abort(id);
    await sink.end();
  });

  it("counts its steps and tokens", async () => {
    const before = engine.progress;
    await finished({ maxTokens: 4, ignoreEos: true });
    await engine.checkHealth();
    const later = engine.progress;
    assert.ok(later !== undefined);
    assert.ok(later.steps > (before?.steps ?? 0));
    assert.ok(later.generatedTokens >= (before?.generatedTokens ?? 0) + 4);
  });

  it("embeds a prompt into a vector of length 1, or says that it cannot", async () => {
    const { signal } = new AbortController();
    const embedding = await unlessUnimplemented(engine.embed({ id: "e", tokenIds: options.prompt }, signal));
    if (embedding === undefined) return;
    assert.equal(embedding.promptTokens, options.prompt.length);
    assert.ok(embedding.values.length > 0);
    const norm = Math.hypot(...embedding.values);
    assert.ok(Math.abs(norm - 1) < 1e-3, `the norm is ${norm}`);
    const again = await engine.embed({ id: "e", tokenIds: options.prompt }, signal);
    assert.deepEqual(Array.from(again.values), Array.from(embedding.values));
  });

  it("flushes its cache when idle", { skip: skips.has("flush-cache") }, async () => {
    assert.equal(await engine.flushCache(), true);
    const sink = await finished({ maxTokens: 2 });
    assert.equal(sink.deltas[0]?.promptTokens, options.prompt.length);
  });

  it("tells changes of its prefix cache that fit together", { skip: skips.has("flush-cache") }, async (t) => {
    if (engine.kvEvents === undefined) return t.skip("it tells of no changes");
    const replay = new CacheReplay(engine.facts().blockSizeTokens);
    let begun = false;
    const stop = engine.kvEvents.onEvents(({ events }) => {
      for (const event of events) {
        begun ||= event.t === "cleared";
        if (begun) replay.apply(event);
      }
    });
    assert.equal(await engine.flushCache(), true);
    assert.ok(begun, "a flush is told before it is answered");
    await Promise.all([finished({ maxTokens: 40, ignoreEos: true }), finished({ maxTokens: 20, ignoreEos: true })]);
    const prompt = options.prompt.join(",");
    for (const chain of replay.chains()) assert.ok(chain.startsWith(prompt) || prompt.startsWith(chain));
    stop();
  });

  it("gives its tokenizer away as flat files, or says why not", async () => {
    const files = await engine.tokenizerFiles().catch((thrown: unknown) => {
      assert.equal(EngineError.from(thrown).kind, "failed-precondition");
      return [];
    });
    for (const file of files) {
      assert.ok(!file.name.includes("/") && file.bytes.length > 0);
    }
  });
}

function describeLifecycle(options: EngineContractOptions): void {
  const request = (id: string, changes: Partial<SamplingParams>) => ({
    id,
    prompt: { kind: "tokens", tokenIds: options.prompt } as const,
    sampling: greedySampling(changes),
  });

  it("refuses work before the start, starts once, and after the close refuses again", async () => {
    const engine = await options.createEngine({ maxNumSeqs: slots });
    const states: string[] = [];
    const stopListening = engine.onState((state) => states.push(state.t));
    try {
      assert.equal(engine.state.t, "idle");
      assert.throws(() => engine.facts(), isError("unavailable"));
      assert.throws(() => engine.generate(request("early", {}), new CollectingSink()), isError("unavailable"));
      await assert.rejects(async () => engine.checkHealth(), isError("unavailable"));
      await engine.start();
      assert.ok(states.includes("starting") && states.at(-1) === "ready", states.join(" "));

      const sink = new CollectingSink();
      engine.generate(request("late", endless), sink);
      await sink.count(1);
      await engine.close(0);
      const end = await sink.end();
      if (end.t === "failed") assert.equal(end.error.kind, "unavailable");
      else assert.deepEqual(sink.finish(), { reason: "abort" });
      assert.deepEqual([engine.state.t, states.at(-1)], ["closed", "closed"]);

      await engine.close(0);
      assert.throws(() => engine.generate(request("after", {}), new CollectingSink()), isError("unavailable"));
      await assert.rejects(async () => engine.checkHealth(), isError("unavailable"));
    } finally {
      stopListening();
      await engine.close(0);
    }
  });

  it("lets running requests end within the grace of a close, and takes no new ones", async () => {
    const engine = await options.createEngine({ maxNumSeqs: slots });
    try {
      await engine.start();
      const sink = new CollectingSink();
      engine.generate(request("running", { maxTokens: 8, ignoreEos: true }), sink);
      const closed = engine.close(60_000);
      assert.throws(() => engine.generate(request("new", {}), new CollectingSink()), isError("unavailable"));
      await closed;
      assert.deepEqual(sink.finish(), { reason: "length" });
    } finally {
      await engine.close(0);
    }
  });
}

function checkOutputLogprobs(delta: OutputDelta, k: number, greedy: boolean): void {
  const { logprobs, tokenIds } = delta;
  assert.ok(logprobs !== undefined);
  assert.equal(logprobs.tokenLogprobs.length, tokenIds.length);
  assert.equal(logprobs.top.length, tokenIds.length);
  tokenIds.forEach((tokenId, i) => {
    const value = logprobs.tokenLogprobs[i];
    assert.ok(value !== undefined && value <= 0 && Number.isFinite(value));
    const top = logprobs.top[i];
    assert.equal(top?.tokenIds.length, k);
    assert.equal(top?.values.length, k);
    assert.deepEqual(
      [...(top?.values ?? [])],
      [...(top?.values ?? [])].sort((a, b) => b - a),
    );
    if (greedy && k > 0) assert.equal(top?.tokenIds[0], tokenId, "the greedy token is the best one");
  });
}

async function unlessUnimplemented<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    assert.equal(EngineError.from(thrown).kind, "unimplemented");
    return undefined;
  }
}

function isError(kind: EngineErrorKind): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof EngineError && thrown.kind === kind;
}
