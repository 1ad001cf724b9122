import type { TopLogprobs } from "../../../engine/output.ts";
import type { AddonContext, AddonSampler } from "./addon.ts";

export interface PositionLogprobs {
  /** The most likely token. */
  readonly greedyTokenId: number;
  readonly tokenLogprob: number;
  readonly top: TopLogprobs;
}

/**
 * Reads the model's own log probabilities at one position of the decoded batch.
 *
 * @param greedy a sampler with temperature 0 and nothing else: its chain leaves the logits as the model gave them.
 * @param tokenId the token to report; undefined reports the most likely one.
 * @param topCount how many of the best to list, 0 or more.
 */
export async function readLogprobs(
  context: AddonContext,
  greedy: AddonSampler,
  batchIndex: number,
  tokenId: number | undefined,
  topCount: number,
): Promise<PositionLogprobs> {
  // At least one of the top is asked for: the first is the highest logit, to which sumExp relates.
  const tokens = tokenId === undefined ? [] : [tokenId];
  const top = Math.max(1, topCount);
  const [greedyTokenId, , , pairs, sumExp] = await context.sampleToken(
    batchIndex,
    greedy,
    false,
    false,
    [tokens, false, false, tokenId === undefined, top],
    true,
  );
  const highest = pairs[1] ?? 0;
  const logprobOf = (logit: number): number => logit - highest - Math.log(sumExp);
  const topTokenIds: number[] = [];
  const values: number[] = [];
  for (let rank = 0; rank < topCount && 2 * rank + 1 < pairs.length; rank++) {
    topTokenIds.push(pairs[2 * rank] as number);
    values.push(logprobOf(pairs[2 * rank + 1] as number));
  }
  // The token asked for stands behind the top.
  const logit = pairs.at(-1) ?? highest;
  return { greedyTokenId, tokenLogprob: logprobOf(logit), top: { tokenIds: topTokenIds, values } };
}
