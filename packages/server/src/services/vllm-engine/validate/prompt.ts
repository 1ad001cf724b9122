import type { ModelFacts } from "../../../engine/facts.ts";
import type { Prompt } from "../../../engine/request.ts";
import type { GenerateRequest, SamplingParams } from "../../../generated/vllm_engine.ts";
import { refuse, words } from "./refuse.ts";

/** More text than this per token of the context is refused before anybody tokenizes it. */
const textBytesPerToken = 16;
/** A small context with truncation may still be given this much. */
const leastTextBytes = 65_536;

/** Checks `tokenized` or `text` and, for a text, `truncate_prompt_tokens` (which does nothing to token ids). */
export function validatePrompt(request: GenerateRequest, facts: ModelFacts): Prompt {
  const truncateToTokens = validateTruncation(request.samplingParams, facts);
  switch (request.input?.$case) {
    case undefined:
      return refuse("input", "missing", undefined, "tokenized or text");
    case "tokenized": {
      const { inputIds } = request.input.value;
      return { kind: "tokens", tokenIds: validateInputIds(inputIds, facts.vocabSize, facts.maxModelLenTokens - 1) };
    }
    case "text":
      return { kind: "text", text: validateText(request.input.value, facts), truncateToTokens };
  }
}

/** Checks `tokenized.input_ids`: at least one, not more than `maxTokens`, each in the vocabulary. */
export function validateInputIds(inputIds: readonly number[], vocabSize: number, maxTokens: number): Uint32Array {
  const field = "tokenized.input_ids";
  if (inputIds.length === 0) refuse(field, "empty", words("0 tokens"), `1 to ${maxTokens} tokens`);
  if (inputIds.length > maxTokens)
    refuse(field, "too long", words(`${inputIds.length} tokens`), `1 to ${maxTokens} tokens`);
  for (let i = 0; i < inputIds.length; i++) {
    const id = inputIds[i] ?? 0;
    if (id >= vocabSize) refuse(`${field}[${i}]`, "outside the vocabulary", id, `from 0 to ${vocabSize - 1}`);
  }
  return Uint32Array.from(inputIds);
}

function validateText(text: string, facts: ModelFacts): string {
  const maxBytes = Math.max(leastTextBytes, facts.maxModelLenTokens * textBytesPerToken);
  const bytes = Buffer.byteLength(text);
  if (bytes === 0) refuse("text", "empty", text, `1 to ${maxBytes} bytes`);
  if (bytes > maxBytes) refuse("text", "too long", words(`${bytes} bytes`), `1 to ${maxBytes} bytes`);
  return text;
}

/** -1 is the longest prompt that leaves room for one token, as in vLLM. */
function validateTruncation(sampling: SamplingParams | undefined, facts: ModelFacts): number | undefined {
  const tokens = sampling?.truncatePromptTokens;
  const longest = facts.maxModelLenTokens - 1;
  if (tokens === undefined) return undefined;
  if (tokens === -1) return longest;
  if (tokens < 1 || tokens > longest) {
    refuse("sampling_params.truncate_prompt_tokens", "out of range", tokens, `-1 or from 1 to ${longest}`);
  }
  return tokens;
}
