import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import {
  checkRequest,
  createEngineCoreClient,
  type EngineCoreClient,
  type EngineCoreRequest,
  type WireMap,
} from "@tokenwire/engine-core";
import fc from "fast-check";
import { vllmProgram } from "./install.ts";
import { demoFolder } from "./vllm-server.ts";

const vocabSize = 2048;
const maxModelLenTokens = 2048;
const limits = { vocabSize, maxModelLenTokens, tasks: ["generate"] };
const requests = 10_000;
/** A run is repeated with `VALIDATOR_SEED` in the environment. */
const seed = Number(process.env.VALIDATOR_SEED ?? Math.floor(Math.random() * 2 ** 31));

const edges = [0, -0, 1, -1, 2, -2, 0.5, 1e-7, 1e-5, 0.01, 1e-300, 1e300, 2.0000001, 100, -100, 3];
const number = fc.oneof(
  { weight: 3, arbitrary: fc.double({ min: 0, max: 1 }) },
  { weight: 2, arbitrary: fc.double({ min: -2, max: 2 }) },
  { weight: 2, arbitrary: fc.constantFrom(...edges) },
  { weight: 1, arbitrary: fc.double() },
);
const count = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 32 }) },
  { weight: 1, arbitrary: fc.constantFrom(-2, -1, 20, 21, 2047, 2048, 2049, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 64n), max: 2n ** 65n }) },
);
const tokenId = fc.oneof(
  { weight: 30, arbitrary: fc.integer({ min: 0, max: vocabSize - 1 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, vocabSize, vocabSize + 1, 2 ** 31, 1.5) },
);
const tokenIds = fc.array(tokenId, { maxLength: 8 });
const text = fc.oneof(fc.string({ maxLength: 8 }), fc.string({ unit: "binary", maxLength: 4 }));
const flag = fc.boolean();
const anything = fc.anything({ maxDepth: 1, withBigInt: true }) as fc.Arbitrary<WireMap[string]>;

const constraint = fc.oneof(
  fc.constantFrom<WireMap>(
    { regex: "[0-9]{1,3}" },
    { regex: "" },
    { json: '{"type":"object","properties":{"a":{"type":"integer"}}}' },
    { json_object: true },
    { grammar: 'root ::= "yes" | "no"' },
    { json_object: false },
    { grammar: "" },
    { regex: "a", json_object: true },
    {},
  ),
);
const backed = constraint.map((each) => ({ ...each, _backend: "xgrammar" }));

const params = fc.record(
  {
    n: fc.constantFrom(1, 1, 1, 2, 0, 20_000),
    presence_penalty: number,
    frequency_penalty: number,
    repetition_penalty: number,
    temperature: number,
    top_p: number,
    top_k: count,
    min_p: number,
    seed: count,
    stop: fc.array(text, { maxLength: 3 }),
    stop_token_ids: tokenIds,
    ignore_eos: flag,
    max_tokens: fc.oneof(count, fc.constant(null)),
    min_tokens: count,
    logprobs: count,
    prompt_logprobs: count,
    logprob_token_ids: tokenIds,
    flat_logprobs: flag,
    detokenize: flag,
    skip_special_tokens: flag,
    spaces_between_special_tokens: flag,
    include_stop_str_in_output: flag,
    output_kind: fc.constantFrom(0, 1, 2, 3),
    structured_outputs: backed,
    logit_bias: fc.array(fc.tuple(tokenId, number), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    allowed_token_ids: tokenIds,
    bad_words: fc.array(text, { maxLength: 2 }),
    skip_reading_prefix_cache: flag,
    stream_interval: count,
    thinking_token_budget: count,
    repetition_detection: fc.record({ max_pattern_size: count, min_pattern_size: count, min_count: count }),
    extra_args: fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(count, text, flag), { maxKeys: 2 }),
    _eos_token_id: tokenId,
    _all_stop_token_ids: tokenIds,
  },
  { requiredKeys: [] },
) as unknown as fc.Arbitrary<WireMap>;

const someWrongType = fc
  .tuple(params, fc.constantFrom("temperature", "top_k", "seed", "stop", "logit_bias", "n", "max_tokens"), anything)
  .map(([map, name, value]) => ({ ...map, [name]: value }));

/** Few keys at a time, so that many requests are right in all of them. */
const fewParams = params.chain((map) =>
  fc.subarray(Object.keys(map), { maxLength: 4 }).map((names): WireMap => {
    return Object.fromEntries(names.map((name) => [name, map[name]]));
  }),
);

const request = fc.record({
  samplingParams: fc.oneof(
    { weight: 8, arbitrary: fewParams },
    { weight: 1, arbitrary: params },
    { weight: 1, arbitrary: someWrongType },
  ),
  promptTokenIds: fc.oneof(
    { weight: 9, arbitrary: fc.array(tokenId, { maxLength: 12 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(2046, 2047, 2048, 2049).map((length) => new Array<number>(length).fill(7)),
    },
  ),
  priority: fc.option(count, { nil: undefined }) as fc.Arbitrary<number | undefined>,
});

describe("the validator beside vLLM's own checks", () => {
  let client: EngineCoreClient;
  let judge: ReturnType<typeof spawn>;
  let judgements: AsyncIterator<string>;
  before(async () => {
    client = await createEngineCoreClient({
      handshakeAddress: "tcp://127.0.0.1:*",
      onOutputs: () => {},
      onDeath: () => {},
      onBadFrame: (error) => assert.fail(error),
    });
    const words = [`${import.meta.dirname}/judge.py`, client.addresses.handshake, demoFolder];
    judge = spawn(vllmProgram("python"), words, {
      env: { ...process.env, HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1", DO_NOT_TRACK: "1" },
      stdio: ["pipe", "pipe", "ignore"],
    });
    assert.ok(judge.stdout !== null);
    judgements = createInterface({ input: judge.stdout })[Symbol.asyncIterator]();
    await client.ready();
  });
  after(async () => {
    judge?.stdin?.end();
    if (judge !== undefined && judge.exitCode === null) await once(judge, "exit");
    await client?.close();
  });

  /** Hands the request over, whatever is in it; why vLLM refuses it, or null. */
  async function judged(candidate: EngineCoreRequest): Promise<string | null> {
    client.add(0, candidate);
    for (;;) {
      const { value, done } = await judgements.next();
      assert.ok(done !== true, "the judge has ended");
      // vLLM's own log stands between.
      if (!String(value).startsWith('{"id"')) continue;
      const { id, refused } = JSON.parse(value);
      assert.equal(id, candidate.requestId);
      return refused;
    }
  }

  test("has a judge that refuses what is known to be wrong", async () => {
    const promptTokenIds = [1, 5];
    const wrong: Readonly<Record<string, WireMap>> = {
      "top_p must be in": { top_p: 2.5 },
      "stop cannot contain an empty string": { stop: [""] },
      "out-of-vocab token ids": { stop_token_ids: [999_999] },
      "Expected `int`, got `float`": { top_k: 1.5 },
    };
    for (const [why, samplingParams] of Object.entries(wrong)) {
      const refused = await judged({ requestId: `known-${why}`, promptTokenIds, samplingParams });
      assert.ok(refused?.includes(why), `${why}: ${refused}`);
    }
    assert.equal(await judged({ requestId: "right", promptTokenIds, samplingParams: { top_p: 0.5 } }), null);
  });

  test("passes nothing that vLLM refuses, among thousands of requests by chance", async (t) => {
    t.diagnostic(`seed ${seed}`);
    const wrong: string[] = [];
    let passed = 0;
    for (const [index, candidate] of fc.sample(request, { seed, numRuns: requests }).entries()) {
      const whole = { requestId: `v-${index}`, ...candidate };
      try {
        checkRequest(whole, limits);
      } catch {
        continue;
      }
      passed += 1;
      const refused = await judged(whole);
      if (refused !== null) wrong.push(`${refused}\n  ${show(candidate)}`);
    }
    t.diagnostic(`${passed} of ${requests} passed, and vLLM refused ${wrong.length} of them`);
    assert.ok(passed > requests / 10, "the requests are wrong in too many ways at once");
    assert.deepEqual(wrong.slice(0, 5), []);
  });
});

function show(value: unknown): string {
  const text = JSON.stringify(value, (_key, each) => {
    if (typeof each === "bigint") return `${each}n`;
    return each instanceof Map ? Object.fromEntries(each) : each;
  });
  return text.slice(0, 600);
}
