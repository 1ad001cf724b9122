import type { WireMap, WireValue } from "@tokenwire/engine-core";
import type { SamplingParams } from "../../../engine/request.ts";
import { structuredOutputsOf } from "./structured-outputs.ts";

/** What the engine must be told of the model, because only front ends look at it. */
export interface StopFacts {
  readonly eosTokenId: number | undefined;
  readonly furtherEosTokenIds: readonly number[];
  readonly maxModelLenTokens: number;
}

/** RequestOutputKind.DELTA. */
const delta = 1;

/**
 * The parameters of output `index` of a request by their names on the wire (vllm/sampling_params.py; what is left out has
 * vLLM's default), with what vLLM's front end fills in and its engine does not: the EOS ids,
 * the bound of the context, the backend of a constraint. Stop strings are ours and are not sent; n outputs are n requests.
 *
 * Throws what {@link structuredOutputsOf} throws.
 */
export function wireSamplingParams(
  sampling: SamplingParams,
  facts: StopFacts,
  promptTokens: number,
  index: number,
): WireMap {
  const { eosTokenId, furtherEosTokenIds } = facts;
  const room = Math.max(1, facts.maxModelLenTokens - promptTokens);
  const maxTokens = Math.min(sampling.maxTokens ?? room, room);
  const ends = sampling.ignoreEos ? [] : furtherEosTokenIds;
  const stopTokenIds = [...new Set([...sampling.stopTokenIds, ...ends])];
  const allStopTokenIds = [
    ...new Set([...sampling.stopTokenIds, ...furtherEosTokenIds, ...(eosTokenId === undefined ? [] : [eosTokenId])]),
  ];
  const params: Record<string, WireValue> = {
    temperature: sampling.temperature,
    max_tokens: maxTokens,
    output_kind: delta,
  };
  const unless = (name: string, value: WireValue, byDefault: WireValue): void => {
    if (value !== byDefault) params[name] = value;
  };
  unless("top_p", sampling.topP, 1);
  unless("top_k", sampling.topK, 0);
  unless("min_p", sampling.minP, 0);
  unless("presence_penalty", sampling.presencePenalty, 0);
  unless("frequency_penalty", sampling.frequencyPenalty, 0);
  unless("repetition_penalty", sampling.repetitionPenalty, 1);
  unless("seed", seedOf(sampling.seed, index), undefined);
  unless("ignore_eos", sampling.ignoreEos, false);
  unless("min_tokens", Math.min(sampling.minTokens, maxTokens), 0);
  unless("logprobs", sampling.logprobs, undefined);
  unless("prompt_logprobs", sampling.promptLogprobs, undefined);
  if (eosTokenId !== undefined && !sampling.ignoreEos) params._eos_token_id = eosTokenId;
  if (stopTokenIds.length > 0) params.stop_token_ids = stopTokenIds;
  if (allStopTokenIds.length > 0) params._all_stop_token_ids = allStopTokenIds;
  if (sampling.logitBias.size > 0) params.logit_bias = sampling.logitBias;
  if (sampling.constraint !== undefined) params.structured_outputs = structuredOutputsOf(sampling.constraint);
  return params;
}

/** -1 is vLLM's word for a random seed; torch takes 2^32 - 1 as well. */
function seedOf(seed: number | undefined, index: number): number | undefined {
  if (seed === undefined) return undefined;
  return seed + index === -1 ? 0xffff_ffff : seed + index;
}
