import type { Finish, OutputDelta, OutputLogprobs, PromptLogprobs, TopLogprobs } from "../../engine/output.ts";
import type { GenerateComplete, GenerateResponse, InputLogProbs, OutputLogProbs } from "../../generated/vllm_engine.ts";

/** The chunk of a stream for what one step added: ids, counts and logprobs are all of the delta alone. */
export function chunkOf(delta: OutputDelta): GenerateResponse {
  return {
    response: {
      $case: "chunk",
      value: {
        tokenIds: mutable(delta.tokenIds),
        promptTokens: delta.promptTokens,
        completionTokens: delta.tokenIds.length,
        cachedTokens: delta.cachedTokens,
        outputLogprobs: delta.logprobs === undefined ? undefined : outputLogprobsOf(delta.tokenIds, delta.logprobs),
        inputLogprobs: delta.promptLogprobs === undefined ? undefined : inputLogprobsOf(delta.promptLogprobs),
        index: delta.index,
      },
    },
  };
}

/**
 * The message that ends one output of a stream. Its ids and logprobs are empty, because the chunks had all of them, and
 * `completion_tokens` is the whole count. vLLM's servicer repeats the last delta here, which a client that adds up
 * everything counts twice.
 *
 * @param delta the output's last one, with the prompt's logprobs if they were asked for.
 */
export function streamedCompleteOf(delta: OutputDelta, finish: Finish, completionTokens: number): GenerateResponse {
  return completeOf({ ...delta, tokenIds: [], logprobs: undefined }, finish, completionTokens);
}

/** The message that is one whole output. */
export function completeOf(
  delta: OutputDelta,
  finish: Finish,
  completionTokens: number = delta.tokenIds.length,
): GenerateResponse {
  return {
    response: {
      $case: "complete",
      value: {
        outputIds: mutable(delta.tokenIds),
        finishReason: finish.reason,
        promptTokens: delta.promptTokens,
        completionTokens,
        cachedTokens: delta.cachedTokens,
        outputLogprobs: delta.logprobs === undefined ? undefined : outputLogprobsOf(delta.tokenIds, delta.logprobs),
        inputLogprobs: delta.promptLogprobs === undefined ? undefined : inputLogprobsOf(delta.promptLogprobs),
        index: delta.index,
        kvTransferParams: undefined,
        matchedStop: matchedStopOf(finish),
        kvTransferParamsJson: undefined,
        specAcceptedTokens: 0,
        specDraftTokens: 0,
        mediaIdentity: undefined,
      },
    },
  };
}

function matchedStopOf(finish: Finish): GenerateComplete["matchedStop"] {
  if (finish.reason !== "stop" || finish.matched === undefined) return undefined;
  return "text" in finish.matched
    ? { $case: "matchedStopStr", value: finish.matched.text }
    : { $case: "matchedTokenId", value: finish.matched.tokenId };
}

function outputLogprobsOf(tokenIds: readonly number[], logprobs: OutputLogprobs): OutputLogProbs {
  const { top } = logprobs;
  return {
    tokenLogprobs: mutable(logprobs.tokenLogprobs),
    tokenIds: mutable(tokenIds),
    // With logprobs 0 every list is empty, and the field is left out.
    topLogprobs: top.some((position) => position.tokenIds.length > 0) ? top.map(topLogprobsOf) : [],
  };
}

function inputLogprobsOf(logprobs: PromptLogprobs): InputLogProbs {
  const { top } = logprobs;
  return {
    tokenLogprobs: logprobs.tokenLogprobs.map((value) => ({ value })),
    tokenIds: mutable(logprobs.tokenIds),
    topLogprobs: top.some((position) => position.tokenIds.length > 0) ? top.map(topLogprobsOf) : [],
  };
}

function topLogprobsOf(top: TopLogprobs): { values: number[]; tokenIds: number[] } {
  return { values: mutable(top.values), tokenIds: mutable(top.tokenIds) };
}

/** Generated types ask for mutable arrays, but nobody writes to a response: a copy per token would be for nothing. */
function mutable(values: readonly number[]): number[] {
  return values as number[];
}
