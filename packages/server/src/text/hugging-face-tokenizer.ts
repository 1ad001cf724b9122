import { Tokenizer } from "@huggingface/tokenizers";

/** A tokenizer as Hugging Face's libraries have it: tokenizer.json and tokenizer_config.json together. */
export interface HuggingFaceTokenizer {
  /** The ids of a text. `addSpecialTokens` adds what the tokenizer's post-processor adds by itself, such as a BOS. */
  encode(text: string, addSpecialTokens: boolean): number[];
  /** The text of some ids. `skipSpecialTokens` leaves out control tokens such as an EOS. */
  decode(tokenIds: readonly number[], skipSpecialTokens: boolean): string;
}

// @huggingface/tokenizers 0.2.0 ships declarations that nodenext cannot follow; this is the part that is used.
interface TokenizerLike {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
}

/**
 * Builds a tokenizer from the parsed contents of tokenizer.json and tokenizer_config.json (an empty object where there is
 * none). It and its methods throw what the library throws, for a definition that the library cannot use.
 */
export function createHuggingFaceTokenizer(definition: object, config: object): HuggingFaceTokenizer {
  const tokenizer: TokenizerLike = new Tokenizer(definition, config);
  return {
    encode: (text, addSpecialTokens) => tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode: (tokenIds, skipSpecialTokens) =>
      // The library refuses to decode nothing.
      tokenIds.length === 0
        ? ""
        : tokenizer.decode([...tokenIds], {
            skip_special_tokens: skipSpecialTokens,
            clean_up_tokenization_spaces: false,
          }),
  };
}
