import { type GgufHeader, getStringArray } from "../gguf/gguf-header.ts";
import { endOfGenerationTexts, readTokenTypes, tokenTypes } from "../gguf/special-tokens.ts";
import { cannotExport } from "./cannot-export.ts";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Special tokens are left out when ids are turned back into text. */
  readonly special: boolean;
}

export interface Vocabulary {
  /** Text of each id. */
  readonly tokens: readonly string[];
  readonly idOf: ReadonlyMap<string, number>;
  readonly typeOf: (id: number) => number;
  /** Tokens that are found in a text before anything else, by ascending id. */
  readonly addedTokens: readonly AddedToken[];
}

/**
 * The vocabulary of a model as llama.cpp understands it: empty texts get a name, and tokens that end an output are
 * control tokens even where the file says otherwise (`src/llama-vocab.cpp`). Throws failed-precondition when the file
 * has no vocabulary or the same text twice.
 */
export function readVocabulary(header: GgufHeader): Vocabulary {
  const texts = getStringArray(header, "tokenizer.ggml.tokens");
  if (texts === undefined || texts.length === 0) throw cannotExport(header.path, "it holds no vocabulary");
  const tokens = texts.map((text, id) => (text === "" ? `[EMPTY_${id}]` : text));
  const idOf = new Map<string, number>();
  for (const [id, text] of tokens.entries()) {
    if (idOf.has(text)) throw cannotExport(header.path, `its tokens ${idOf.get(text)} and ${id} have the same text`);
    idOf.set(text, id);
  }
  const typeInFile = readTokenTypes(header);
  const typeOf = (id: number): number =>
    endOfGenerationTexts.has(tokens[id] ?? "") ? tokenTypes.control : typeInFile(id);
  const addedTokens: AddedToken[] = [];
  for (const [id, content] of tokens.entries()) {
    const type = typeOf(id);
    const special = type === tokenTypes.control || type === tokenTypes.unknown;
    if (special || type === tokenTypes.userDefined) addedTokens.push({ id, content, special });
  }
  return { tokens, idOf, typeOf, addedTokens };
}
