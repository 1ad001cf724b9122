import type { SamplingParams } from "../request.ts";

/** Greedy sampling without any stop rule but the model's EOS, changed as asked: the start of most tests. */
export function greedySampling(changes: Partial<SamplingParams> = {}): SamplingParams {
  return {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    frequencyPenalty: 0,
    presencePenalty: 0,
    repetitionPenalty: 1,
    maxTokens: 16,
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
    ...changes,
  };
}
