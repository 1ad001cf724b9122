import type { OutputLogprobs, PromptLogprobs, TopLogprobs } from "../../engine/output.ts";

/** Natural logarithm that the best of the k tokens gets; each next one is a quarter lower. */
const best = -0.5;

/**
 * Made-up logprobs of one position: the token itself is the best, the ids after it follow. The same ids and the same
 * k always give the same values, all of them exact in 32-bit floats.
 *
 * @param k as in SamplingParams: 0 gives an empty list, -1 the whole vocabulary.
 */
export function topLogprobs(tokenId: number, k: number, vocabSize: number): TopLogprobs {
  const count = k === -1 ? vocabSize : Math.min(k, vocabSize);
  return {
    tokenIds: Array.from({ length: count }, (_, rank) => (tokenId + rank) % vocabSize),
    values: Array.from({ length: count }, (_, rank) => best - rank / 4),
  };
}

/** Logprobs of a delta with one token. */
export function outputLogprobs(tokenId: number, k: number, vocabSize: number): OutputLogprobs {
  return { tokenLogprobs: [best], top: [topLogprobs(tokenId, k, vocabSize)] };
}

/** Logprobs of a prompt; the first token has none. */
export function promptLogprobs(prompt: Uint32Array, k: number, vocabSize: number): PromptLogprobs {
  const tokenIds = Array.from(prompt);
  return {
    tokenIds,
    tokenLogprobs: tokenIds.map((_, position) => (position === 0 ? undefined : best)),
    top: tokenIds.map((id, position) =>
      position === 0 ? { tokenIds: [], values: [] } : topLogprobs(id, k, vocabSize),
    ),
  };
}
