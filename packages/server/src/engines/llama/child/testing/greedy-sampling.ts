import type { ChildSampling } from "../../ipc.ts";

/** Greedy, unconstrained, one output until the context is full: what tests vary. */
export const greedySampling: ChildSampling = {
  temperature: 0,
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
  logprobs: undefined,
  promptLogprobs: undefined,
  seed: undefined,
  logitBias: new Map(),
  gbnf: undefined,
};
