import type { AddonModel } from "./addon.ts";

/** llama.h, `llama_vocab_type`. */
const VOCABULARY_BPE = 2;
/** llama.h, `llama_token_attr`: control, user-defined and unknown tokens carry their text as it is. */
const LITERAL_ATTRIBUTES = (1 << 0) | (1 << 3) | (1 << 4);
const BYTE_ATTRIBUTE = 1 << 5;

/**
 * The bytes that each token id adds to a text, built on first use.
 *
 * llama.cpp's own detokenizer answers whole strings, which breaks characters that are split over tokens.
 */
export class TokenBytes {
  readonly #model: AddonModel;
  readonly #byteLevel: boolean;
  readonly #known: (Uint8Array | undefined)[] = [];

  constructor(model: AddonModel) {
    this.#model = model;
    this.#byteLevel = model.getVocabularyType() === VOCABULARY_BPE;
  }

  of(tokenId: number): Uint8Array {
    let bytes = this.#known[tokenId];
    if (bytes === undefined) {
      bytes = this.#read(tokenId);
      this.#known[tokenId] = bytes;
    }
    return bytes;
  }

  #read(tokenId: number): Uint8Array {
    const piece = this.#model.getTokenString(tokenId);
    const attributes = this.#model.getTokenAttributes(tokenId);
    if ((attributes & LITERAL_ATTRIBUTES) !== 0) return encoder.encode(piece);
    if (this.#byteLevel) return byteLevelBytes(piece);
    const byte = (attributes & BYTE_ATTRIBUTE) !== 0 ? /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    // SentencePiece writes a space as U+2581.
    return encoder.encode(piece.replaceAll("\u2581", " "));
  }
}

const encoder = new TextEncoder();

/**
 * GPT-2's byte alphabet (openai/gpt-2, src/encoder.py, bytes_to_unicode): printable Latin-1 stands for itself, the
 * other bytes in ascending order for U+0100 and up.
 */
const byteOfCharacter: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCodePoint(itself ? byte : next++), byte);
  }
  return map;
})();

function byteLevelBytes(piece: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of piece) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) bytes.push(...encoder.encode(character));
    else bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}
