import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EngineCoreError } from "../engine-core-error.ts";
import type { EngineCoreRequest, WireMap, WireValue } from "../protocol/request.ts";
import { checkRequest } from "./check-request.ts";
import type { RequestLimits } from "./request-limits.ts";

const limits: RequestLimits = { vocabSize: 2000, maxModelLenTokens: 64, tasks: ["generate"] };

function request(over: Partial<EngineCoreRequest> = {}): EngineCoreRequest {
  return { requestId: "r-1", promptTokenIds: [1, 5, 6, 7], samplingParams: { temperature: 0, max_tokens: 8 }, ...over };
}

function withParams(samplingParams: WireMap): EngineCoreRequest {
  return request({ samplingParams });
}

function refusedField(candidate: EngineCoreRequest, under: RequestLimits = limits): string | undefined {
  try {
    checkRequest(candidate, under);
    return undefined;
  } catch (thrown) {
    assert.ok(thrown instanceof EngineCoreError, String(thrown));
    assert.equal(thrown.fault.kind, "invalid-request");
    const field = thrown.fault.kind === "invalid-request" ? thrown.fault.field : "";
    assert.ok(thrown.message.startsWith(`${field}: `), thrown.message);
    assert.ok(thrown.message.length < 400, "a message does not repeat what was sent without bound");
    return field;
  }
}

test("a plain request passes, with numbers in a list or a typed array", () => {
  assert.equal(refusedField(request()), undefined);
  assert.equal(refusedField(request({ promptTokenIds: Uint32Array.of(0, 1999) })), undefined);
  assert.equal(refusedField(request({ samplingParams: {} })), undefined);
  assert.equal(refusedField(withParams({ temperature: undefined, max_tokens: undefined, min_tokens: 16 })), undefined);
});

test("what is known to kill an engine or to leave it deaf is refused, by the name of its field", () => {
  const cases: readonly (readonly [string, EngineCoreRequest])[] = [
    ["prompt_token_ids", request({ promptTokenIds: [999_999] })],
    ["prompt_token_ids", request({ promptTokenIds: [2000] })],
    ["prompt_token_ids", request({ promptTokenIds: [-1] })],
    ["prompt_token_ids", request({ promptTokenIds: [1.5] })],
    ["prompt_token_ids", request({ promptTokenIds: [] })],
    ["prompt_token_ids", request({ promptTokenIds: new Uint32Array(64) })],
    ["stop_token_ids", withParams({ stop_token_ids: [999_999], min_tokens: 1 })],
    ["_all_stop_token_ids", withParams({ _all_stop_token_ids: [2000] })],
    ["_eos_token_id", withParams({ _eos_token_id: 2000 })],
    ["logit_bias", withParams({ logit_bias: new Map([[999_999, 1]]) })],
    ["logit_bias", withParams({ logit_bias: { "5": 1 } })],
    ["logit_bias[5]", withParams({ logit_bias: new Map([[5, Number.NaN]]) })],
    ["allowed_token_ids", withParams({ allowed_token_ids: [2000] })],
    ["allowed_token_ids", withParams({ allowed_token_ids: [] })],
    ["logprobs", withParams({ logprobs: 1000 })],
    ["logprobs", withParams({ logprobs: -1 })],
    ["logprobs", withParams({ logprobs: true })],
    ["prompt_logprobs", withParams({ prompt_logprobs: 21 })],
    ["top_p", withParams({ top_p: 2.5 })],
    ["top_p", withParams({ top_p: 0 })],
    ["top_k", withParams({ top_k: 1.5 })],
    ["top_k", withParams({ top_k: -2 })],
    ["min_p", withParams({ min_p: -0.1 })],
    ["temperature", withParams({ temperature: 2.1 })],
    ["temperature", withParams({ temperature: Number.NaN })],
    ["temperature", withParams({ temperature: null })],
    ["repetition_penalty", withParams({ repetition_penalty: 0 })],
    ["repetition_penalty", withParams({ repetition_penalty: Number.POSITIVE_INFINITY })],
    ["presence_penalty", withParams({ presence_penalty: -3 })],
    ["frequency_penalty", withParams({ frequency_penalty: Number.NaN })],
    ["max_tokens", withParams({ max_tokens: 0 })],
    ["min_tokens", withParams({ max_tokens: 8, min_tokens: 9 })],
    ["min_tokens", withParams({ min_tokens: 17 })],
    ["min_tokens", withParams({ max_tokens: null, min_tokens: 61 })],
    ["seed", withParams({ seed: 2 ** 53 })],
    ["seed", withParams({ seed: 2n ** 64n })],
    ["seed", withParams({ seed: 0.5 })],
    ["stop", withParams({ stop: [""] })],
    ["stop", withParams({ stop: ["a"], detokenize: false })],
    ["bad_words", withParams({ bad_words: [""] })],
    ["bad_words", withParams({ bad_words: [" \x1c"] })],
    ["n", withParams({ n: 2, temperature: 0 })],
    ["n", withParams({ n: 0 })],
    ["output_kind", withParams({ output_kind: 3 })],
    ["logprob_token_ids", withParams({ logprob_token_ids: new Array(129).fill(1) })],
    ["logprobs", withParams({ logprobs: 2, logprob_token_ids: [1, 2, 3] })],
    ["repetition_detection.min_count", withParams({ repetition_detection: { max_pattern_size: 2, min_count: 1 } })],
    ["structured_outputs", withParams({ structured_outputs: { _backend: "xgrammar" } })],
    ["structured_outputs", withParams({ structured_outputs: { regex: "a", grammar: "b", _backend: "xgrammar" } })],
    ["structured_outputs", withParams({ structured_outputs: { regex: "a" } })],
    ["structured_outputs", withParams({ structured_outputs: { choice: ["a"], _backend: "xgrammar" } })],
    ["structured_outputs.regex", withParams({ structured_outputs: { regex: "a\0", _backend: "xgrammar" } })],
    ["structured_outputs.json", withParams({ structured_outputs: { json: " ", _backend: "xgrammar" } })],
    [
      "structured_outputs.json",
      withParams({ structured_outputs: { json: "[".repeat(65) + "]".repeat(65), _backend: "xgrammar" } }),
    ],
    [
      "structured_outputs.json_object",
      withParams({ structured_outputs: { json_object: false, _backend: "xgrammar" } }),
    ],
    ["structured_outputs.grammar", withParams({ structured_outputs: { grammar: " ", _backend: "xgrammar" } })],
    ["thinking_token_budget", withParams({ thinking_token_budget: 3 })],
    ["extra_args", withParams({ extra_args: { a: [2n ** 64n] } })],
    ["extra_args", withParams({ extra_args: nested(40) })],
    ["temprature", withParams({ temprature: 1 })],
    ["toString", withParams({ toString: 1 } as unknown as WireMap)],
    ["request_id", request({ requestId: "" })],
    ["priority", request({ priority: 0.5 })],
    ["cache_salt", request({ cacheSalt: "" })],
    ["lora_request", request({ loraRequest: ["a", 1, "/a"] })],
    ["trace_headers.traceparent", request({ traceHeaders: { traceparent: 1 as unknown as string } })],
    ["task", request({ samplingParams: undefined, poolingParams: [null, null, null, null, "embed"] })],
    ["pooling_params", request({ samplingParams: undefined, poolingParams: [] })],
    ["sampling_params", request({ samplingParams: undefined })],
    ["sampling_params", request({ poolingParams: [null, null, null, null, "embed"] })],
  ];
  for (const [field, candidate] of cases)
    assert.equal(refusedField(candidate), field, JSON.stringify(candidate, bigints));
});

test("limits decide what else passes", () => {
  const pooling = request({ samplingParams: undefined, poolingParams: [true, null, null, null, "embed"] });
  assert.equal(refusedField(pooling, { ...limits, tasks: ["embed"] }), undefined);
  assert.equal(refusedField(request(), { ...limits, tasks: ["embed"] }), "sampling_params");
  assert.equal(refusedField(withParams({ logprobs: 100 }), { ...limits, maxLogprobs: 100 }), undefined);
  assert.equal(refusedField(withParams({ logprobs: -1 }), { ...limits, maxLogprobs: -1 }), undefined);
  const withAdapter = request({ loraRequest: ["name", 1, "/adapters/name"] });
  assert.equal(refusedField(withAdapter, { ...limits, supportsLora: true }), undefined);
  assert.equal(
    refusedField(request({ loraRequest: ["name", 0, "/a"] }), { ...limits, supportsLora: true }),
    "lora_int_id",
  );
  assert.equal(refusedField(withParams({ min_p: 0.1 }), { ...limits, isSpeculative: true }), "min_p");
  assert.equal(refusedField(request(), { ...limits, isInFlight: (id) => id === "r-1" }), "request_id");
  assert.equal(refusedField(request({ promptTokenIds: new Uint32Array(63) })), undefined);
});

test("every constraint of an output passes in its proper form", () => {
  const forms: readonly WireMap[] = [
    { json: '{"type": "object"}' },
    { json: { type: "object" } },
    { regex: "" },
    { grammar: 'root ::= "a"' },
    { json_object: true },
    { structural_tag: '{"type": "structural_tag"}' },
    { json: "[".repeat(64) + "]".repeat(64) },
  ];
  for (const form of forms) {
    const params = { structured_outputs: { ...form, _backend: "xgrammar" } };
    assert.equal(refusedField(withParams(params)), undefined, JSON.stringify(form));
  }
});

test("whatever the values are, a request is passed or refused with its field, and nothing else happens", () => {
  const names = [
    "n",
    "seed",
    "stop",
    "logit_bias",
    "structured_outputs",
    "top_k",
    "logprobs",
    "extra_args",
    "repetition_detection",
    "__proto__",
  ];
  const value = fc.anything({ withBigInt: true, withMap: true, withTypedArray: true }) as fc.Arbitrary<WireValue>;
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), value), (params) => {
      refusedField(withParams(params));
    }),
    { numRuns: 2_000 },
  );
});

function nested(depth: number): WireMap {
  return depth === 0 ? {} : { a: nested(depth - 1) };
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
