import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mockFacts } from "../../../engines/mock/mock-facts.ts";
import { GenerateRequest, type SamplingParams } from "../../../generated/vllm_engine.ts";
import type { StatusName } from "../../../rpc/status.ts";
import { generateRequest, isStatus } from "../testing/service-under-test.ts";
import { validateGenerateRequest } from "./generate-request.ts";

/** Vocabulary 259, context 100. */
const facts = mockFacts({ maxModelLenTokens: 100 });

function validate(request: GenerateRequest, changes: Partial<typeof facts> = {}, dpRanks = 1) {
  return validateGenerateRequest(request, { ...facts, ...changes }, dpRanks);
}

function refused(request: GenerateRequest, text: string, status: StatusName = "INVALID_ARGUMENT"): void {
  assert.throws(() => validate(request), isStatus(status, text));
}

function samplingOf(sampling: Partial<SamplingParams>) {
  return validate(generateRequest(sampling)).sampling;
}

describe("validating a GenerateRequest", () => {
  it("fills in vLLM's defaults for empty sampling parameters and for none", () => {
    const defaults = {
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      frequencyPenalty: 0,
      presencePenalty: 0,
      repetitionPenalty: 1,
      maxTokens: undefined,
      minTokens: 0,
      stop: [],
      stopTokenIds: [],
      ignoreEos: false,
      n: 1,
      constraint: undefined,
      logprobs: undefined,
      promptLogprobs: undefined,
      seed: undefined,
      logitBias: new Map(),
    };
    assert.deepEqual(samplingOf({}), defaults);
    assert.deepEqual(validate(generateRequest({}, { samplingParams: undefined })).sampling, defaults);
  });

  it("hands everything in range on", () => {
    const given = {
      temperature: 0.5,
      topP: 0.25,
      topK: 40,
      minP: 1,
      frequencyPenalty: -2,
      presencePenalty: 2,
      repetitionPenalty: 100,
      maxTokens: 100_000,
      minTokens: 99,
      stop: ["a", "b"],
      stopTokenIds: [0, 258],
      ignoreEos: true,
      n: 128,
      logprobs: 20,
      promptLogprobs: 0,
      seed: -5,
    };
    const wanted = { ...given, constraint: undefined, logitBias: new Map([[7, -100]]) };
    assert.deepEqual(samplingOf({ ...given, logitBias: { 7: -100 } }), wanted);
  });

  it("takes seed -1 as random, a temperature below 1e-5 as greedy and a top_k beyond the vocabulary as off", () => {
    const sampling = samplingOf({ seed: -1, temperature: 1e-6, topK: 4_294_967_295 });
    assert.deepEqual([sampling.seed, sampling.temperature, sampling.topK], [undefined, 0, 0]);
  });

  const id = "must be 1 to 256 printable characters";
  for (const [requestId, problem] of [
    ["", `request_id: empty, got ""; ${id}`],
    ["x".repeat(257), `request_id: too long, got 257 characters; ${id}`],
    ["a\nb", `request_id: not printable, got "a\\nb"; ${id}`],
    ["a\u202eb", "request_id: not printable"],
  ] as const) {
    it(`refuses the request id ${JSON.stringify(requestId.slice(0, 8))}`, () =>
      refused(generateRequest({}, { requestId }), problem));
  }

  it("takes a printable request id of 256 characters", () => {
    const requestId = "é".repeat(256);
    assert.equal(validate(generateRequest({}, { requestId })).requestId, requestId);
  });

  const samplings: readonly (readonly [Partial<SamplingParams>, string])[] = [
    [{ temperature: -0.1 }, "sampling_params.temperature: out of range, got -0.1; must be 0 or more"],
    [{ temperature: Number.NaN }, "sampling_params.temperature: not a finite number, got NaN; must be 0 or more"],
    [{ temperature: Number.POSITIVE_INFINITY }, "sampling_params.temperature: not a finite number, got Infinity"],
    [{ topP: Math.fround(1.1) }, "sampling_params.top_p: out of range, got 1.1; must be in (0, 1], or 0 for 1"],
    [{ topP: -1 }, "sampling_params.top_p: out of range, got -1"],
    [{ topP: Number.NaN }, "sampling_params.top_p: out of range, got NaN"],
    [{ minP: 1.5 }, "sampling_params.min_p: out of range, got 1.5; must be from 0 to 1"],
    [{ minP: Number.NaN }, "sampling_params.min_p: not a finite number, got NaN"],
    [{ frequencyPenalty: 2.5 }, "sampling_params.frequency_penalty: out of range, got 2.5; must be from -2 to 2"],
    [{ presencePenalty: -3 }, "sampling_params.presence_penalty: out of range, got -3; must be from -2 to 2"],
    [{ repetitionPenalty: -1 }, "sampling_params.repetition_penalty: out of range, got -1; must be above 0"],
    [{ repetitionPenalty: 101 }, "sampling_params.repetition_penalty: out of range, got 101"],
    [{ maxTokens: 0 }, "sampling_params.max_tokens: out of range, got 0; must be 1 or more, or unset"],
    [{ maxTokens: 5, minTokens: 6 }, "sampling_params.min_tokens: out of range, got 6; must be from 0 to 5"],
    [{ minTokens: 100 }, "sampling_params.min_tokens: out of range, got 100; must be from 0 to 99"],
    [{ stop: ["a", ""] }, 'sampling_params.stop[1]: empty, got ""; must be 1 to 1024 characters'],
    [{ stop: ["x".repeat(1025)] }, "sampling_params.stop[0]: too long, got 1025"],
    [{ stop: Array(65).fill("x") }, "sampling_params.stop: too many, got 65; must be at most 64 strings"],
    [{ stopTokenIds: [1, 259] }, "sampling_params.stop_token_ids[1]: outside the vocabulary, got 259; must be from 0"],
    [{ stopTokenIds: Array(1025).fill(1) }, "sampling_params.stop_token_ids: too many, got 1025"],
    [{ n: 129 }, "sampling_params.n: out of range, got 129; must be from 1 to 128"],
    [{ n: 2, temperature: 0 }, "sampling_params.n: n must be 1 when using greedy sampling, got 2"],
    [{ logprobs: -2 }, "sampling_params.logprobs: out of range, got -2; must be from 0 to 20"],
    [{ logprobs: 21 }, "sampling_params.logprobs: out of range, got 21"],
    [{ logprobs: -1 }, "sampling_params.logprobs: more than allowed, got -1; must be from 0 to 20 (-1 stands for the"],
    [{ promptLogprobs: 21 }, "sampling_params.prompt_logprobs: out of range, got 21"],
    [
      { logitBias: { 259: 1 } },
      "sampling_params.logit_bias: key outside the vocabulary, got 259; must be from 0 to 258",
    ],
    [{ logitBias: { [-1]: 1 } }, "sampling_params.logit_bias: key outside the vocabulary, got -1"],
    [{ logitBias: { 3: Number.NaN } }, "sampling_params.logit_bias[3]: not a finite number, got NaN"],
    [{ logitBias: { 3: 101 } }, "sampling_params.logit_bias[3]: out of range, got 101; must be from -100 to 100"],
  ];
  for (const [sampling, problem] of samplings) {
    it(`refuses ${problem.slice(0, 60)}`, () => refused(generateRequest(sampling), problem));
  }

  it("takes logprobs -1 where the whole vocabulary is no more than vLLM allows", () => {
    const request = generateRequest({ logprobs: -1, promptLogprobs: -1 });
    const { sampling } = validate(request, { vocabSize: 20 });
    assert.deepEqual([sampling.logprobs, sampling.promptLogprobs], [-1, -1]);
  });
});

describe("validating a prompt", () => {
  const tokenized = (inputIds: number[]) =>
    generateRequest({}, { input: { $case: "tokenized", value: { originalText: "", inputIds } } });
  const text = (value: string, sampling: Partial<SamplingParams> = {}) =>
    generateRequest(sampling, { input: { $case: "text", value } });

  it("takes ids of the vocabulary up to one less than the context", () => {
    const { prompt } = validate(tokenized(Array(99).fill(258)));
    assert.ok(prompt.kind === "tokens" && prompt.tokenIds.length === 99);
  });

  const wrong: readonly (readonly [GenerateRequest, string])[] = [
    [generateRequest({}, { input: undefined }), "input: missing, got nothing; must be tokenized or text"],
    [tokenized([]), "tokenized.input_ids: empty, got 0 tokens; must be 1 to 99 tokens"],
    [tokenized(Array(100).fill(1)), "tokenized.input_ids: too long, got 100 tokens; must be 1 to 99 tokens"],
    [tokenized([1, 2, 259]), "tokenized.input_ids[2]: outside the vocabulary, got 259; must be from 0 to 258"],
    [tokenized([4_294_967_295]), "tokenized.input_ids[0]: outside the vocabulary, got 4294967295"],
    [text(""), 'text: empty, got ""; must be 1 to 65536 bytes'],
    [text("é".repeat(32_769)), "text: too long, got 65538 bytes; must be 1 to 65536 bytes"],
    [
      text("hi", { truncatePromptTokens: 0 }),
      "sampling_params.truncate_prompt_tokens: out of range, got 0; must be -1",
    ],
    [text("hi", { truncatePromptTokens: 100 }), "sampling_params.truncate_prompt_tokens: out of range, got 100"],
    [text("hi", { truncatePromptTokens: -2 }), "sampling_params.truncate_prompt_tokens: out of range, got -2"],
  ];
  for (const [request, problem] of wrong) {
    it(`refuses ${problem.slice(0, 60)}`, () => refused(request, problem));
  }

  it("truncates a text as asked, -1 to the longest prompt, and leaves token ids alone", () => {
    const truncated = (tokens: number | undefined) => {
      const { prompt } = validate(text("hello", { truncatePromptTokens: tokens }));
      return prompt.kind === "text" ? prompt.truncateToTokens : "not a text";
    };
    assert.deepEqual([truncated(undefined), truncated(7), truncated(-1)], [undefined, 7, 99]);
    const { prompt } = validate(generateRequest({ truncatePromptTokens: 1 }));
    assert.ok(prompt.kind === "tokens" && prompt.tokenIds.length === 3);
  });

  it("allows 16 bytes of text per token of a large context", () => {
    const request = text("x".repeat(160_000));
    assert.equal(validate(request, { maxModelLenTokens: 10_000 }).prompt.kind, "text");
  });
});

describe("validating a constraint", () => {
  const constrained = (constraint: SamplingParams["constraint"]) => generateRequest({ constraint });

  const right: readonly (readonly [SamplingParams["constraint"], unknown])[] = [
    [
      { $case: "jsonSchema", value: '{"type":"object"}' },
      { kind: "json-schema", source: '{"type":"object"}' },
    ],
    [
      { $case: "jsonSchema", value: "true" },
      { kind: "json-schema", source: "true" },
    ],
    [
      { $case: "regex", value: "a+" },
      { kind: "regex", source: "a+" },
    ],
    [
      { $case: "grammar", value: 'root ::= "a"' },
      { kind: "grammar", source: 'root ::= "a"' },
    ],
    [{ $case: "jsonObject", value: true }, { kind: "json-object" }],
    [
      { $case: "choice", value: { choices: ["a", "b"] } },
      { kind: "choice", choices: ["a", "b"] },
    ],
  ];
  for (const [constraint, wanted] of right) {
    it(`hands ${JSON.stringify(constraint)} on`, () => assert.deepEqual(samplingOf({ constraint }).constraint, wanted));
  }

  const wrong: readonly (readonly [SamplingParams["constraint"], string])[] = [
    [{ $case: "jsonSchema", value: "" }, 'sampling_params.json_schema: empty, got ""; must be 1 to 262144 bytes'],
    [{ $case: "jsonSchema", value: "{" }, 'sampling_params.json_schema: not JSON, got "{"; must be a JSON schema'],
    [{ $case: "jsonSchema", value: "[1]" }, "sampling_params.json_schema: not a schema"],
    [{ $case: "jsonSchema", value: "null" }, "sampling_params.json_schema: not a schema"],
    [{ $case: "jsonSchema", value: "[".repeat(200_000) }, "sampling_params.json_schema: not JSON"],
    [{ $case: "regex", value: "" }, "sampling_params.regex: empty"],
    [{ $case: "regex", value: "x".repeat(262_145) }, "sampling_params.regex: too long, got 262145 bytes"],
    [{ $case: "grammar", value: "" }, "sampling_params.grammar: empty"],
    [{ $case: "jsonObject", value: false }, "sampling_params.json_object: chosen and off, got false; must be true"],
    [{ $case: "choice", value: { choices: [] } }, "sampling_params.choice.choices: empty, got 0 choices"],
    [{ $case: "choice", value: { choices: ["a", ""] } }, "sampling_params.choice.choices[1]: empty"],
    [{ $case: "choice", value: { choices: Array(1025).fill("a") } }, "sampling_params.choice.choices: too many"],
    [{ $case: "choice", value: { choices: ["x".repeat(262_145)] } }, "sampling_params.choice.choices: too long"],
  ];
  for (const [constraint, problem] of wrong) {
    it(`refuses ${problem.slice(0, 60)}`, () => refused(constrained(constraint), problem));
  }

  it("hands a structural tag on, and refuses one that is no JSON object", () => {
    const tagged = (value: string) => constrained({ $case: "structuralTag", value });
    assert.deepEqual(validate(tagged('{"type":"structural_tag"}')).sampling.constraint, {
      kind: "structural-tag",
      source: '{"type":"structural_tag"}',
    });
    const field = "sampling_params.structural_tag";
    refused(tagged(""), `${field}: empty`);
    refused(tagged("{"), `${field}: not JSON, got "{"; must be a JSON object`);
    refused(tagged("[]"), `${field}: no object`);
  });
});

describe("validating input that no engine takes", () => {
  const empty = GenerateRequest.create({ mmInputs: {}, mediaRefs: {} });
  const { mmInputs, mediaRefs } = empty;
  assert.ok(mmInputs !== undefined && mediaRefs !== undefined);
  const cases: readonly (readonly [Partial<GenerateRequest>, StatusName, string])[] = [
    [{ mmInputs }, "UNIMPLEMENTED", "mm_inputs: this engine has no multimodal input"],
    [{ mediaRefs }, "UNIMPLEMENTED", "media_refs: this engine has no multimodal input"],
    [{ extraMmInputs: [mmInputs] }, "UNIMPLEMENTED", "extra_mm_inputs: this engine has no multimodal input"],
    [{ mediaRefs, mmInputs }, "INVALID_ARGUMENT", "media_refs: given together with mm_inputs"],
    [{ mediaRefs, input: { $case: "text", value: "x" } }, "INVALID_ARGUMENT", "media_refs: needs token ids"],
    [{ kvTransferParamsJson: "{" }, "INVALID_ARGUMENT", 'kv_transfer_params_json: not JSON, got "{"'],
    [{ kvTransferParamsJson: "[]" }, "INVALID_ARGUMENT", "kv_transfer_params_json: not an object"],
    [{ kvTransferParamsJson: "null" }, "INVALID_ARGUMENT", "kv_transfer_params_json: not an object"],
    [{ kvTransferParamsJson: "{}" }, "UNIMPLEMENTED", "kv_transfer_params_json: this engine has no KV transfer"],
    [
      { kvTransferParams: { remoteHost: "", remotePort: 1 } },
      "INVALID_ARGUMENT",
      "kv_transfer_params.remote_host: empty",
    ],
    [{ kvTransferParams: { remoteHost: "h", remotePort: 0 } }, "INVALID_ARGUMENT", "remote_port: out of range, got 0"],
    [{ kvTransferParams: { remoteHost: "h", remotePort: 65_536 } }, "INVALID_ARGUMENT", "must be from 1 to 65535"],
    [{ kvTransferParams: { remoteHost: "h", remotePort: 1 } }, "UNIMPLEMENTED", "this engine has no KV transfer"],
    [{ dataParallelRank: 1 }, "INVALID_ARGUMENT", "data_parallel_rank: out of range, got 1; must be from 0 to 0"],
    [{ dataParallelRank: -1 }, "INVALID_ARGUMENT", "data_parallel_rank: out of range, got -1"],
  ];
  for (const [changes, status, problem] of cases) {
    it(`refuses ${problem} (${status})`, () => refused(generateRequest({}, changes), problem, status));
  }

  it("takes a rank that exists", () => {
    assert.equal(validate(generateRequest({}, { dataParallelRank: 1 }), {}, 2).requestId, "r");
  });
});
