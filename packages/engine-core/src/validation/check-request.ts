import { EngineCoreError } from "../engine-core-error.ts";
import type { EngineCoreRequest } from "../protocol/request.ts";
import { checkPoolingParams } from "./pooling-params.ts";
import type { RequestLimits } from "./request-limits.ts";
import { boolean, filledText, integer, invalid, isList, optional, type Rule, text, tokenId } from "./rules.ts";
import { checkSamplingParams } from "./sampling-params.ts";

/**
 * Throws `invalid-request`, with the name of the field on the wire, for a request that an engine must not see. The engine
 * checks nothing: a token outside the vocabulary, an empty prompt or one that leaves no room kills it, a value of a wrong
 * type or out of range leaves it deaf, and both take every other request with them.
 *
 * What passes here passes vLLM 0.32's own checks too, except that patterns, grammars and schemas are compiled by the engine
 * (see `structured_outputs`), and that the limits are those of the caller.
 */
export function checkRequest(request: EngineCoreRequest, limits: RequestLimits): void {
  const { requestId, promptTokenIds, samplingParams, poolingParams } = request;
  filledText(requestId, "request_id", limits);
  if (limits.isInFlight?.(requestId) === true) throw refused("request_id", `${requestId} is in flight already`);
  const room = samplingParams === undefined ? limits.maxModelLenTokens : limits.maxModelLenTokens - 1;
  checkPrompt(promptTokenIds, limits, room);
  optional(integer(Number.MIN_SAFE_INTEGER))(request.priority, "priority", limits);
  checkTraceHeaders(request.traceHeaders);
  optional(filledText)(request.cacheSalt, "cache_salt", limits);
  optional(lora)(request.loraRequest, "lora_request", limits);
  if (samplingParams !== undefined && poolingParams === undefined) {
    if (!limits.tasks.includes("generate")) throw refused("sampling_params", "the model does not generate");
    checkSamplingParams(samplingParams, limits, promptTokenIds.length);
  } else if (poolingParams !== undefined && samplingParams === undefined) checkPoolingParams(poolingParams, limits);
  else throw refused("sampling_params", "either these or pooling_params are needed, not both");
}

function checkPrompt(ids: readonly number[] | Uint32Array, limits: RequestLimits, most: number): void {
  const field = "prompt_token_ids";
  if (!Array.isArray(ids) && !(ids instanceof Uint32Array)) throw invalid(field, "a list of token ids", ids);
  if (ids.length < 1 || ids.length > most) {
    const because = `max_model_len is ${limits.maxModelLenTokens}`;
    throw refused(field, `must have 1 to ${most} tokens (${because}), has ${ids.length}`);
  }
  for (const id of ids) tokenId(id, field, limits);
}

function checkTraceHeaders(headers: EngineCoreRequest["traceHeaders"]): void {
  if (headers === undefined) return;
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string") throw invalid(`trace_headers.${name}`, "a text", value);
  }
}

/** By their order on the wire: LoRARequest (vllm/lora/request.py at 0.32). */
const loraPlaces: readonly (readonly [string, Rule])[] = [
  ["lora_name", filledText],
  ["lora_int_id", integer(1)],
  ["lora_path", filledText],
  ["base_model_name", optional(text)],
  ["load_inplace", boolean],
  ["is_3d_lora_weight", boolean],
];

const lora: Rule = (value, field, limits) => {
  if (limits.supportsLora !== true) throw refused(field, "the engine serves no adapters");
  if (!isList(value) || value.length < 3 || value.length > loraPlaces.length) {
    throw invalid(field, `a list of 3 to ${loraPlaces.length} places`, value);
  }
  value.forEach((member, place) => {
    const [name, rule] = loraPlaces[place] ?? [];
    if (name !== undefined) rule?.(member, name, limits);
  });
};

function refused(field: string, sentence: string): EngineCoreError {
  return new EngineCoreError({ kind: "invalid-request", field }, `${field}: ${sentence}`);
}
