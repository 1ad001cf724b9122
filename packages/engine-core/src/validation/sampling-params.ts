import { EngineCoreError } from "../engine-core-error.ts";
import type { WireMap, WireValue } from "../protocol/request.ts";
import type { RequestLimits } from "./request-limits.ts";
import {
  boolean,
  filledText,
  integer,
  invalid,
  isInteger,
  isList,
  listOf,
  membersOf,
  never,
  number,
  optional,
  type Rule,
  seed,
  tokenId,
  tokenIds,
} from "./rules.ts";
import { structuredOutputs } from "./structured-outputs.ts";

/** _SAMPLING_EPS: below it sampling is greedy. */
const greedyBelow = 1e-5;
/** VLLM_MAX_N_SEQUENCES. */
const mostOutputs = 16_384;
/** MAX_LOGPROB_TOKEN_IDS. */
const mostLogprobTokenIds = 128;
/** What the engine takes when `max_tokens` is left out. */
const maxTokensLeftOut = 16;
const defaultMaxLogprobs = 20;

/** -1 asks for the whole vocabulary. */
const logprobs: Rule = (value, field, limits) => {
  integer(-1)(value, field, limits);
  const { vocabSize, maxLogprobs = defaultMaxLogprobs } = limits;
  const most = maxLogprobs === -1 ? vocabSize : maxLogprobs;
  const asked = value === -1 ? vocabSize : Number(value);
  if (asked > most) throw invalid(field, `at most ${most}`, value);
};

const logitBias: Rule = (value, field, limits) => {
  // A record's keys are strings on the wire, and string keys deafen the engine.
  const members = value instanceof Map ? membersOf(value) : undefined;
  if (members === undefined) throw invalid(field, "a Map from token ids to numbers", value);
  for (const [id, bias] of members) {
    tokenId(id, field, limits);
    if (typeof bias !== "number" || !Number.isFinite(bias)) throw invalid(`${field}[${id}]`, "a finite number", bias);
  }
};

/** RepetitionDetectionParams.__post_init__. */
const repetitionDetection: Rule = (value, field, limits) => {
  const members = membersOf(value);
  if (members === undefined) throw invalid(field, "a map", value);
  const sizes = new Map<number | string, number>();
  for (const [name, member] of members) {
    if (name !== "max_pattern_size" && name !== "min_pattern_size" && name !== "min_count") {
      throw invalid(field, "a map of known names", String(name));
    }
    if (member === undefined) continue;
    integer(0)(member, `${field}.${name}`, limits);
    sizes.set(name, Number(member));
  }
  const longest = sizes.get("max_pattern_size") ?? 0;
  const shortest = sizes.get("min_pattern_size") ?? 0;
  const count = sizes.get("min_count") ?? 0;
  if (shortest > longest) throw invalid(`${field}.min_pattern_size`, `at most ${longest}`, shortest);
  if (longest > 0 && count < 2) throw invalid(`${field}.min_count`, "at least 2", count);
};

/** vLLM hands them to plugins, which are no deeper than what a person writes. */
const deepestExtraArgs = 32;

const extraArgs: Rule = (value, field) => {
  if (membersOf(value) === undefined) throw invalid(field, "a map", value);
  assertWritable(value, field, 0);
};

/** MessagePack has integers of 64 bits (`_verify_extra_args`). */
function assertWritable(value: WireValue, field: string, depth: number): void {
  if (typeof value === "bigint" && (value < -(2n ** 63n) || value >= 2n ** 64n)) {
    throw invalid(field, "a map of integers from -2^63 to 2^64 - 1", value);
  }
  if (depth > deepestExtraArgs) throw invalid(field, `nested at most ${deepestExtraArgs} deep`, value);
  const members = isList(value) ? value : membersOf(value)?.map(([, member]) => member);
  for (const member of members ?? []) assertWritable(member, field, depth + 1);
}

/** White space before a word does not count (`update_from_tokenizer`), and to Python some control characters are white. */
const badWord: Rule = (value, field) => {
  if (typeof value !== "string" || !/[^\s\p{Cc}]/u.test(value)) {
    throw invalid(field, "a text that is not blank", value);
  }
};

const unknownToUs = "whether the engine takes it depends on flags of which it does not tell";

/** vLLM's SamplingParams, the fields in its order with the rules of `_verify_args` and `verify` (vllm/sampling_params.py at 0.32). */
const rules: Readonly<Record<string, Rule>> = {
  n: integer(1, mostOutputs),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  repetition_penalty: number(0, Number.MAX_VALUE, { least: true }),
  temperature: number(0, 2),
  watermarking: optional(boolean),
  top_p: number(0, 1, { least: true }),
  top_k: integer(-1),
  min_p: number(0, 1),
  seed: optional(seed),
  stop: optional((value, field, limits) => (isList(value) ? listOf(filledText) : filledText)(value, field, limits)),
  stop_token_ids: optional(tokenIds()),
  ignore_eos: boolean,
  max_tokens: optional(integer(1)),
  min_tokens: integer(0),
  logprobs: optional(logprobs),
  prompt_logprobs: optional(logprobs),
  prompt_logprob_token_ids: never(unknownToUs),
  prompt_logprob_start: never(unknownToUs),
  logprob_token_ids: optional(tokenIds(0, mostLogprobTokenIds)),
  flat_logprobs: boolean,
  detokenize: boolean,
  skip_special_tokens: boolean,
  spaces_between_special_tokens: boolean,
  include_stop_str_in_output: boolean,
  output_kind: integer(0, 2),
  stream_interval: optional(integer(1)),
  skip_clone: boolean,
  output_text_buffer_length: integer(0),
  _eos_token_id: optional(tokenId),
  _all_stop_token_ids: tokenIds(),
  _watermarking_skipped: boolean,
  structured_outputs: optional(structuredOutputs),
  logit_bias: optional(logitBias),
  allowed_token_ids: optional(tokenIds(1)),
  extra_args: optional(extraArgs),
  bad_words: optional(listOf(badWord)),
  _bad_words_token_ids: optional(listOf(tokenIds(1))),
  skip_reading_prefix_cache: optional(boolean),
  thinking_token_budget: never(unknownToUs),
  repetition_detection: optional(repetitionDetection),
  routed_experts_prompt_start: integer(0),
  trace_decode_token_ids: never(unknownToUs),
};

/**
 * Throws `invalid-request` for parameters that vLLM's own front end refuses and its engine does not: a value out of range
 * ends the thread that reads the engine's input, an id out of the vocabulary the engine itself. Names that vLLM 0.32 does
 * not have are refused, because a later version may have them and their types are not known here.
 */
export function checkSamplingParams(params: WireMap, limits: RequestLimits, promptTokens: number): void {
  for (const [name, value] of Object.entries(params)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) throw refused(name, "is no parameter of vLLM 0.32");
    // Left out on the wire, so it has its default.
    if (value !== undefined) rule(value, name, limits);
  }
  checkTogether(params, limits, promptTokens);
}

/** Rules between two parameters. Each of them alone has passed. */
function checkTogether(params: WireMap, limits: RequestLimits, promptTokens: number): void {
  const { n, temperature, max_tokens, min_tokens, stop, detokenize, logprobs, logprob_token_ids } = params;
  const isGreedy = isInteger(n) && n > 1 && typeof temperature === "number" && temperature < greedyBelow;
  if (isGreedy) throw invalid("n", "1 when sampling is greedy (temperature 0)", n);
  const room = limits.maxModelLenTokens - promptTokens;
  const most = max_tokens === undefined ? maxTokensLeftOut : isInteger(max_tokens) ? max_tokens : room;
  if (isInteger(min_tokens) && min_tokens > most)
    throw invalid("min_tokens", `at most max_tokens, ${most}`, min_tokens);
  if (detokenize === false && lengthOf(stop) > 0) throw refused("stop", "needs detokenize");
  const ids = isNil(logprob_token_ids) ? undefined : lengthOf(logprob_token_ids);
  if (ids !== undefined && isInteger(logprobs) && logprobs !== ids) {
    throw invalid("logprobs", `${ids}, the length of logprob_token_ids`, logprobs);
  }
  if (limits.isSpeculative !== true) return;
  if (typeof params.min_p === "number" && params.min_p > greedyBelow) throw refused("min_p", speculative);
  if (params.logit_bias instanceof Map && params.logit_bias.size > 0) throw refused("logit_bias", speculative);
}

const speculative = "is not supported with speculative decoding";

function refused(field: string, sentence: string): EngineCoreError {
  return new EngineCoreError({ kind: "invalid-request", field }, `${field}: ${sentence}`);
}

function isNil(value: WireValue): value is null | undefined {
  return value === undefined || value === null;
}

function lengthOf(value: WireValue): number {
  return typeof value === "string" || isList(value) || value instanceof Uint32Array ? value.length : 0;
}
