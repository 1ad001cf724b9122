import assert from "node:assert/strict";
import { test } from "node:test";
import { greedySampling } from "../../../engine/testing/sampling.ts";
import { type StopFacts, wireSamplingParams } from "./wire-sampling-params.ts";

const facts: StopFacts = { eosTokenId: 2, furtherEosTokenIds: [0], maxModelLenTokens: 100 };

test("the engine is told what it does not know: the EOS ids and the room that is left", () => {
  assert.deepEqual(wireSamplingParams(greedySampling({ maxTokens: undefined }), facts, 10, 0), {
    temperature: 0,
    max_tokens: 90,
    output_kind: 1,
    _eos_token_id: 2,
    stop_token_ids: [0],
    _all_stop_token_ids: [0, 2],
  });
});

test("more tokens than the context has room for are not asked for", () => {
  const params = wireSamplingParams(greedySampling({ maxTokens: 1000, minTokens: 99 }), facts, 40, 0);
  assert.deepEqual([params.max_tokens, params.min_tokens], [60, 60]);
});

test("with EOS ignored only the asked stop tokens end an output, and all ends wait for the least number of tokens", () => {
  const params = wireSamplingParams(greedySampling({ ignoreEos: true, stopTokenIds: [7] }), facts, 10, 0);
  assert.equal(params._eos_token_id, undefined);
  assert.deepEqual([params.stop_token_ids, params._all_stop_token_ids], [[7], [7, 0, 2]]);
  assert.equal(params.ignore_eos, true);
});

test("a model without an EOS has none on the wire", () => {
  const none = { ...facts, eosTokenId: undefined, furtherEosTokenIds: [] };
  const params = wireSamplingParams(greedySampling(), none, 10, 0);
  assert.deepEqual([params._eos_token_id, params.stop_token_ids, params._all_stop_token_ids], Array(3).fill(undefined));
});

test("everything that was asked for is said under vLLM's names", () => {
  const asked = greedySampling({
    temperature: 0.5,
    topP: 0.9,
    topK: 40,
    minP: 0.1,
    presencePenalty: 1,
    frequencyPenalty: -1,
    repetitionPenalty: 1.5,
    minTokens: 3,
    logprobs: 0,
    promptLogprobs: 2,
    logitBias: new Map([[5, -100]]),
    constraint: { kind: "regex", source: "a+" },
  });
  assert.deepEqual(wireSamplingParams(asked, facts, 10, 0), {
    temperature: 0.5,
    max_tokens: 16,
    output_kind: 1,
    top_p: 0.9,
    top_k: 40,
    min_p: 0.1,
    presence_penalty: 1,
    frequency_penalty: -1,
    repetition_penalty: 1.5,
    min_tokens: 3,
    logprobs: 0,
    prompt_logprobs: 2,
    logit_bias: new Map([[5, -100]]),
    structured_outputs: { regex: "a+", _backend: "xgrammar" },
    _eos_token_id: 2,
    stop_token_ids: [0],
    _all_stop_token_ids: [0, 2],
  });
});

test("the engine is never told of n, nor of stop strings, which are ours", () => {
  const params = wireSamplingParams(greedySampling({ n: 3, temperature: 1, stop: ["."] }), facts, 10, 1);
  assert.deepEqual([params.n, params.stop], [undefined, undefined]);
});

test("each of n outputs has a seed of its own, and none is vLLM's word for a random one", () => {
  const seeds = (seed: number | undefined): unknown[] =>
    [0, 1, 2].map((index) => wireSamplingParams(greedySampling({ seed }), facts, 10, index).seed);
  assert.deepEqual(seeds(42), [42, 43, 44]);
  assert.deepEqual(seeds(-2), [-2, 0xffff_ffff, 0]);
  assert.deepEqual(seeds(undefined), [undefined, undefined, undefined]);
});
