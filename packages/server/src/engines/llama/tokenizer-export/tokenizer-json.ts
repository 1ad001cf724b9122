import { type GgufHeader, getString } from "../gguf/gguf-header.ts";
import { readSpecialTokens, type SpecialTokens } from "../gguf/special-tokens.ts";
import { byteLevelBpe } from "./byte-level-bpe.ts";
import { cannotExport } from "./cannot-export.ts";
import type { Json } from "./json.ts";
import { sentencePieceBpe } from "./sentencepiece-bpe.ts";
import { readVocabulary, type Vocabulary } from "./vocabulary.ts";

/**
 * Makes the tokenizer.json of a model from the metadata of its file: byte-level BPE and SentencePiece BPE.
 *
 * Throws an EngineError of kind failed-precondition that tells to put a tokenizer.json beside the model, when the
 * vocabulary is of another kind or a part of it is missing or not known.
 */
export async function tokenizerJson(header: GgufHeader): Promise<Json> {
  const vocabulary = readVocabulary(header);
  const special = readSpecialTokens(header);
  const parts = await modelParts(header, vocabulary, special);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: vocabulary.addedTokens.map(({ id, content, special }) => ({ id, ...addedToken(content, special) })),
    normalizer: parts.normalizer ?? null,
    pre_tokenizer: parts.pre_tokenizer ?? null,
    post_processor: postProcessor(vocabulary, special),
    decoder: parts.decoder ?? null,
    model: parts.model ?? null,
  };
}

/** A token that is found in a text before anything else, without its id. */
export function addedToken(content: string, special: boolean): { readonly [key: string]: Json } {
  return { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

function modelParts(
  header: GgufHeader,
  vocabulary: Vocabulary,
  special: SpecialTokens,
): Readonly<Record<string, Json>> | Promise<Readonly<Record<string, Json>>> {
  const model = getString(header, "tokenizer.ggml.model") ?? "";
  switch (model) {
    case "gpt2":
      return byteLevelBpe(header, vocabulary);
    case "llama":
      return sentencePieceBpe(header, vocabulary, special);
    default:
      throw cannotExport(header.path, `its vocabulary is of the kind ${JSON.stringify(model.slice(0, 80))}`);
  }
}

/** Puts BOS before and EOS after a text where the model wants them. */
function postProcessor({ tokens }: Vocabulary, special: SpecialTokens): Json {
  const bos = special.addBosToken ? special.bosTokenId : undefined;
  const eos = special.addEosToken ? special.eosTokenId : undefined;
  if (bos === undefined && eos === undefined) return null;
  const piece = (id: number | undefined, sequence: number): Json[] =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id] ?? "", type_id: sequence } }];
  const wrapped = (name: string, sequence: number): Json[] => [
    ...piece(bos, sequence),
    { Sequence: { id: name, type_id: sequence } },
    ...piece(eos, sequence),
  ];
  const used = [bos, eos].filter((id) => id !== undefined).map((id) => ({ id, text: tokens[id] ?? "" }));
  return {
    type: "TemplateProcessing",
    single: wrapped("A", 0),
    pair: [...wrapped("A", 0), ...wrapped("B", 1)],
    special_tokens: Object.fromEntries(used.map(({ id, text }) => [text, { id: text, ids: [id], tokens: [text] }])),
  };
}
