import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { seeded } from "../harness/seeded.ts";
import { CacheReader } from "./cache-reader.ts";
import { EngineClient } from "./engine-client.ts";
import { kvEventsFlags } from "./kv-events-flags.ts";
import { type EngineHome, makeEngineHome, startVllmServer, type VllmServer } from "./vllm-server.ts";

/** The smallest that vLLM computes with on a processor. */
const blockSizeTokens = 32;
/** Little more than one whole context, so that blocks are given up. */
const gpuBlocks = 80;

describe("the cache events of a real vLLM", () => {
  let home: EngineHome;
  let server: VllmServer;
  let client: EngineClient;
  let reader: CacheReader;
  let engineFlags: readonly string[];

  async function open(): Promise<void> {
    server = await startVllmServer(home, ["--withdrawal-grace", "0"], engineFlags);
    client = new EngineClient(server.target);
    reader = new CacheReader(client.subscribeKvEvents());
  }

  before(async () => {
    home = makeEngineHome();
    const bound = ["--num-gpu-blocks-override", String(gpuBlocks)];
    engineFlags = [...kvEventsFlags(blockSizeTokens), ...bound];
    await open();
  });
  after(() => {
    reader?.close();
    client?.close();
    server?.kill();
    home?.remove();
  });

  /** Answers how many tokens of the prompt the engine had, when all that it computed of it has been told. */
  async function cachedTokensOf(promptIds: readonly number[], maxTokens = 4): Promise<number> {
    const sampling = { temperature: 0, maxTokens, ignoreEos: true };
    const { completes, status, details } = await client.generate({ promptIds, sampling });
    assert.equal(status, "OK", details);
    const whole = promptIds.length - (promptIds.length % blockSizeTokens);
    await reader.until(() => reader.prefixTokens(promptIds, blockSizeTokens) >= whole);
    return completes[0]?.cachedTokens ?? 0;
  }

  /** What the engine may take over: the last token of a prompt is always computed. */
  function believed(promptIds: readonly number[]): number {
    return reader.prefixTokens(promptIds.slice(0, -1), blockSizeTokens);
  }

  const random = seeded(7);
  const randomIds = (length: number): number[] => Array.from({ length }, () => 100 + Math.floor(random() * 1_900));

  test("tell the blocks of a prompt with their tokens, and the load of every step", async () => {
    await reader.until(() => reader.loads.length > 0);
    const prompt = randomIds(100);
    assert.equal(await cachedTokensOf(prompt), 0);
    assert.equal(reader.prefixTokens(prompt, blockSizeTokens), 96);
    assert.equal(await cachedTokensOf(prompt), 96);
    await reader.until(() => reader.loads.at(-1)?.engineReportsSteps === true);
  });

  test("say beforehand what each of 150 requests finds in a cache that is too small", async (t) => {
    const prompts: (readonly number[])[] = [];
    let hits = 0;
    for (let turn = 0; turn < 150; turn += 1) {
      const old = prompts[Math.floor(random() * prompts.length)] ?? [];
      const kept = old.slice(0, Math.floor(random() * (old.length + 1)));
      const prompt = [...kept, ...randomIds(1 + Math.floor(random() * 300))].slice(0, 1_200);
      prompts.push(prompt);
      const expected = believed(prompt);
      const found = await cachedTokensOf(prompt, 1 + Math.floor(random() * 20));
      assert.equal(found, expected, `request ${turn}`);
      if (found > 0) hits += 1;
      assert.ok(reader.blocks < gpuBlocks);
    }
    assert.ok(hits > 20 && reader.removed > gpuBlocks, `${hits} hits, ${reader.removed} blocks removed`);
    t.diagnostic(`${hits} of 150 found something; ${reader.removed} blocks were given up`);
  });

  test("hold together while 8 requests with one beginning run at once", async () => {
    const beginning = randomIds(200);
    for (let round = 0; round < 3; round += 1) {
      const prompts = Array.from({ length: 8 }, () => [...beginning, ...randomIds(20)]);
      await Promise.all(prompts.map((prompt) => cachedTokensOf(prompt, 20)));
    }
    const next = [...beginning, ...randomIds(20)];
    const expected = believed(next);
    assert.ok(expected >= 192);
    assert.equal(await cachedTokensOf(next), expected);
  });

  test("are what a new front end knows after kill -9 of the one before", async () => {
    const known = reader.blocks;
    assert.ok(known > 0);
    server.signal("SIGKILL");
    await server.exited();
    client.close();
    await open();
    await reader.until(() => reader.blocks > 0);
    assert.deepEqual([reader.blocks, reader.unknownBefore], [known, 0n]);
    const prompt = randomIds(64);
    assert.equal(await cachedTokensOf(prompt), 0);
    assert.equal(await cachedTokensOf(prompt), 32);
  });

  test("are cleared by FlushCache", async () => {
    const before = reader.cleared;
    assert.equal((await client.flushCache()).success, true);
    await reader.until(() => reader.cleared > before && reader.blocks === 0);
    const prompt = randomIds(64);
    assert.equal(await cachedTokensOf(prompt), 0);
  });

  test("end with the engine", async () => {
    const engineCore = home.processes()?.engineCore ?? 0;
    assert.ok(engineCore > 0);
    process.kill(engineCore, "SIGKILL");
    await reader.until(() => reader.ended !== undefined);
    assert.equal(reader.ended?.code, 14, reader.ended?.details);
    assert.equal(reader.blocks, 0);
  });
});
