import type { Verdict } from "./verdict.ts";

/** The verdict that stands, and how far a recovery from it has come. */
export interface Standing {
  readonly verdict: Verdict;
  /** Good observations in a row. */
  readonly goodInARow: number;
}

/**
 * Lets a judgement stand or wait. What is worse, or is no matter of degree (a death, a start, a drain), stands at once. What
 * is better than a standing failed check, hang, stall or saturation stands after `recoveryCount` good observations in a
 * row: judgements that were better, each with a new sign of life (`isObservation`). Without one, time alone heals
 * nothing.
 */
export function stand(standing: Standing, judged: Verdict, isObservation: boolean, recoveryCount: number): Standing {
  const from = degree(standing.verdict);
  const to = degree(judged);
  if (from === undefined || to === undefined || to > from) return { verdict: judged, goodInARow: 0 };
  if (to === from) {
    // Another reason for the same: after a stall the answers come one by one, and each would be a reason of its own.
    const isSame = judged.reason === standing.verdict.reason;
    return isSame || isObservation ? { verdict: judged, goodInARow: 0 } : { ...standing, goodInARow: 0 };
  }
  if (!isObservation) return standing;
  const goodInARow = standing.goodInARow + 1;
  if (goodInARow >= recoveryCount) return { verdict: judged, goodInARow: 0 };
  return { ...standing, goodInARow };
}

/** How bad a running engine is; undefined for what is no matter of degree. */
function degree(verdict: Verdict): number | undefined {
  switch (verdict.t) {
    case "ready":
      return 0;
    case "saturated":
      return 1;
    case "stalled":
      return 2;
    case "hung":
      return 3;
    case "dead":
      return verdict.reason === "check-failed" ? 4 : undefined;
    case "starting":
    case "overdue":
    case "paused":
    case "draining":
      return undefined;
  }
}
