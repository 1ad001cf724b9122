/** A request that waits costs its rank more than one that runs (vllm/v1/engine/core_client.py, DPLBAsyncMPClient). */
const waitingWeight = 4;

/** A rank that can take a request, with what was handed to it and has not ended. */
export interface RankChoice {
  readonly rank: number;
  readonly open: number;
  readonly maxRunningRequests: number;
}

/**
 * The rank with the least work, by what was handed to it and has not come back: the scheduler's own figures are of its last
 * step and would send a burst to one rank. Of equal ones the next after `last`, so that a quiet server uses all.
 */
export function chooseRank(ranks: readonly RankChoice[], last: number): number | undefined {
  let best: RankChoice | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  const after = ranks.filter(({ rank }) => rank > last);
  for (const choice of [...after, ...ranks.filter(({ rank }) => rank <= last)]) {
    const slots = choice.maxRunningRequests;
    const waiting = Math.max(0, choice.open - slots);
    const score = (choice.open - waiting + waitingWeight * waiting) / Math.max(1, slots);
    if (score >= bestScore) continue;
    best = choice;
    bestScore = score;
  }
  return best?.rank;
}
