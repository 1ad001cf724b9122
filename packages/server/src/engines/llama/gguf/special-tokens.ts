import { type GgufHeader, getBoolean, getCount, getNumberArray, getString, getStringArray } from "./gguf-header.ts";

/** Values of `tokenizer.ggml.token_type`. Source: `TokenType` in llama.cpp `gguf-py/gguf/constants.py`. */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface SpecialTokens {
  readonly bosTokenId: number | undefined;
  readonly eosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly unknownTokenId: number | undefined;
  /** Ids that end an output: end of sequence first, then end of turn and message, then those known by their text. */
  readonly endOfGenerationTokenIds: readonly number[];
  /** Whether the beginning token is put before a text, and the end token after it. */
  readonly addBosToken: boolean;
  readonly addEosToken: boolean;
}

/**
 * Tokens that end an output in every model that has them, whatever its metadata says.
 * Source: `special_eog_ids` in llama.cpp `src/llama-vocab.cpp`.
 */
export const endOfGenerationTexts: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "</s>",
  "<|eom_id|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "<|end_of_text|>",
  "<end_of_utterance>",
  "<eos>",
  "<turn|>",
  "<|tool_response>",
  "<｜end▁of▁sentence｜>",
  "[e~[",
]);

/** Values of `tokenizer.ggml.pre` whose models begin a text with BOS unless they say otherwise (`llama-vocab.cpp`). */
const beginsWithBos: ReadonlySet<string> = new Set([
  "llama3",
  "llama-v3",
  "llama-bpe",
  "falcon3",
  "falcon-h1",
  "pixtral",
  "midm-2.0",
  "lfm2",
  "jina-v5-nano",
  "tekken",
  "chameleon",
]);

/** Ids that a vocabulary without explicit ones has, by `tokenizer.ggml.model` (`llama-vocab.cpp`). */
const defaultIds: Readonly<Record<string, { bos?: number; eos?: number; unknown?: number; pad?: number }>> = {
  llama: { bos: 1, eos: 2, unknown: 0 },
  bert: { bos: 101, unknown: 100, pad: 0 },
  t5: { eos: 1, unknown: 2, pad: 0 },
};

/**
 * The special tokens of a model as llama.cpp understands them. Ids outside the vocabulary are left out, as there.
 * Throws failed-precondition for metadata of a wrong type.
 */
export function readSpecialTokens(header: GgufHeader): SpecialTokens {
  const model = getString(header, "tokenizer.ggml.model") ?? "";
  const pre = getString(header, "tokenizer.ggml.pre") ?? "";
  const tokens = getStringArray(header, "tokenizer.ggml.tokens") ?? [];
  const defaults = (Object.hasOwn(defaultIds, model) ? defaultIds[model] : undefined) ?? {};
  const id = (key: string, fallback?: number): number | undefined => {
    const value = getCount(header, `tokenizer.ggml.${key}_token_id`);
    return [value, fallback].find((each) => each !== undefined && each < tokens.length);
  };
  const eosTokenId = id("eos", defaults.eos);
  const named = [eosTokenId, id("eot"), id("eom")].filter((each) => each !== undefined);
  return {
    bosTokenId: id("bos", defaults.bos),
    eosTokenId,
    padTokenId: id("padding", defaults.pad),
    unknownTokenId: id("unknown", defaults.unknown),
    endOfGenerationTokenIds: [...new Set([...named, ...idsByText(tokens)])],
    addBosToken:
      getBoolean(header, "tokenizer.ggml.add_bos_token") ??
      (model === "llama" || model === "bert" || (model === "gpt2" && beginsWithBos.has(pre))),
    addEosToken: getBoolean(header, "tokenizer.ggml.add_eos_token") ?? model === "t5",
  };
}

/** The type of each token; normal where the file has no types. Throws failed-precondition when there are too few. */
export function readTokenTypes(header: GgufHeader): (id: number) => number {
  const types = getNumberArray(header, "tokenizer.ggml.token_type");
  return (id) => types?.[id] ?? tokenTypes.normal;
}

function idsByText(tokens: readonly string[]): readonly number[] {
  const ids = new Map<string, number>();
  for (const [id, text] of tokens.entries()) if (endOfGenerationTexts.has(text)) ids.set(text, id);
  // In these vocabularies a token of that text ends a part of an answer and not the answer (llama-vocab.cpp).
  const endsPart = (ids.has("<|return|>") && ids.has("<|call|>")) || (ids.has("<|calls|>") && ids.has("<|flush|>"));
  if (endsPart) ids.delete("<|end|>");
  if (ids.has("<|tool_response>")) ids.delete("</s>");
  return [...ids.values()];
}
