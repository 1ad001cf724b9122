import { architectureNames } from "../gguf/architectures.ts";
import type { ModelDescription } from "../gguf/describe-model.ts";
import type { Json } from "./json.ts";
import { addedToken } from "./tokenizer-json.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * The contents of tokenizer_config.json. The class is the one that takes tokenizer.json as it is. Tokens that the model
 * does not have, and the template of a base model, are left out.
 */
export function tokenizerConfig(description: ModelDescription, { tokens, addedTokens }: Vocabulary): Json {
  const text = (id: number | undefined): string | undefined => (id === undefined ? undefined : tokens[id]);
  return withoutUndefined({
    tokenizer_class: "PreTrainedTokenizerFast",
    bos_token: text(description.bosTokenId),
    eos_token: text(description.eosTokenId),
    pad_token: text(description.padTokenId),
    unk_token: text(description.unknownTokenId),
    add_bos_token: description.addBosToken,
    add_eos_token: description.addEosToken,
    model_max_length: description.trainedContextTokens,
    clean_up_tokenization_spaces: false,
    chat_template: description.chatTemplate,
    added_tokens_decoder: Object.fromEntries(
      addedTokens.map(({ id, content, special }) => [String(id), addedToken(content, special)]),
    ),
  });
}

/** The contents of config.json, as far as the file tells them. */
export function modelConfig(description: ModelDescription): Json {
  return withoutUndefined({
    architectures: description.architectures,
    model_type: architectureNames(description.modelType).modelType,
    vocab_size: description.vocabSize,
    max_position_embeddings: description.trainedContextTokens,
    hidden_size: description.embeddingLength,
    num_hidden_layers: description.layers,
    ...tokenIds(description),
  });
}

/** The contents of generation_config.json: the ids that end an output, and the author's sampling if any. */
export function generationConfig(description: ModelDescription): Json {
  const sampled = Object.keys(description.defaultSampling).length > 0;
  return withoutUndefined({
    ...tokenIds(description),
    do_sample: sampled ? true : undefined,
    ...description.defaultSampling,
  });
}

function tokenIds(description: ModelDescription): Readonly<Record<string, Json | undefined>> {
  const ends = description.endOfGenerationTokenIds;
  return {
    bos_token_id: description.bosTokenId,
    eos_token_id: ends.length > 0 ? ends : undefined,
    pad_token_id: description.padTokenId,
  };
}

function withoutUndefined(values: Readonly<Record<string, Json | undefined>>): Json {
  const kept: [string, Json][] = [];
  for (const [key, value] of Object.entries(values)) if (value !== undefined) kept.push([key, value]);
  return Object.fromEntries(kept);
}
