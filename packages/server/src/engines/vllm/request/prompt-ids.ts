import { EngineError } from "../../../engine/errors.ts";

/**
 * The ids of a text prompt, cut to its last `truncateToTokens`. Throws `invalid-argument` when they leave no room for an
 * output, or are none.
 */
export function promptIdsOf(
  tokenIds: readonly number[],
  truncateToTokens: number | undefined,
  maxModelLenTokens: number,
): readonly number[] {
  const kept = truncateToTokens === undefined ? tokenIds : tokenIds.slice(-truncateToTokens);
  if (kept.length >= 1 && kept.length < maxModelLenTokens) return kept;
  const range = `1 to ${maxModelLenTokens - 1} tokens`;
  throw new EngineError("invalid-argument", `text: must be ${range}, got ${kept.length}`, { field: "text" });
}

/** What a tokenizer threw over a text. */
export function cannotTokenize(thrown: unknown): EngineError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new EngineError("invalid-argument", `text: cannot be tokenized: ${reason}`, { field: "text", cause: thrown });
}
