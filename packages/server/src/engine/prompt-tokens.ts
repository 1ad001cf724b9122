import type { Prompt } from "./request.ts";

/** Characters of a text that make a token at the least, over the languages. */
const charactersPerToken = 2;

/** Tokens of a prompt: counted, or for a text as many as it has at the most, so that bounds and health do not think too little. */
export function promptTokensOf(prompt: Prompt): number {
  if (prompt.kind === "tokens") return prompt.tokenIds.length;
  const tokens = Math.ceil(prompt.text.length / charactersPerToken);
  return Math.min(tokens, prompt.truncateToTokens ?? tokens);
}
