import { EngineError } from "../../../engine/errors.ts";
import type { HuggingFaceTokenizer } from "../../../text/hugging-face-tokenizer.ts";

/**
 * The ids of a text prompt, with what the tokenizer adds by itself (a BOS), cut to its last `truncateToTokens`. Throws
 * `invalid-argument` when it leaves no room for an output, is empty, or cannot be tokenized.
 */
export function tokenizePrompt(
  tokenizer: HuggingFaceTokenizer,
  text: string,
  truncateToTokens: number | undefined,
  maxModelLenTokens: number,
): readonly number[] {
  let ids: readonly number[];
  try {
    ids = tokenizer.encode(text, true);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineError("invalid-argument", `text: cannot be tokenized: ${reason}`, { field: "text", cause: thrown });
  }
  const kept = truncateToTokens === undefined ? ids : ids.slice(-truncateToTokens);
  if (kept.length < 1 || kept.length >= maxModelLenTokens) {
    const range = `1 to ${maxModelLenTokens - 1} tokens`;
    throw new EngineError("invalid-argument", `text: must be ${range}, got ${kept.length}`, { field: "text" });
  }
  return kept;
}
