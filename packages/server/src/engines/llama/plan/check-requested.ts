import { EngineError } from "../../../engine/errors.ts";

/** Throws failed-precondition unless `value` is a whole number from `least` to `most`; undefined passes. */
export function checkRange(flag: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= least && value <= most)) return;
  throw new EngineError(
    "failed-precondition",
    `${flag} is ${value}, and a whole number from ${least} to ${most} is needed.`,
  );
}

/** Throws failed-precondition when a step could not hold one token of every sequence. */
export function checkBatchedTokens(maxNumBatchedTokens: number, maxNumSeqs: number): void {
  if (maxNumBatchedTokens >= maxNumSeqs) return;
  throw new EngineError(
    "failed-precondition",
    `--max-num-batched-tokens ${maxNumBatchedTokens} is less than the ${maxNumSeqs} sequences that run at once, which need a token each; raise it to ${maxNumSeqs} or lower --max-num-seqs.`,
  );
}
