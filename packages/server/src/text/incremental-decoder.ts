/** The replacement character, which a decoder puts where bytes are not (yet) UTF-8. */
const replacement = "\uFFFD";

/**
 * Ids whose text ends in a replacement character are held back until there are so many: a character has at most four
 * bytes, so the first of five has its own fate by then.
 */
const maxHeldIds = 5;

/**
 * Turns a growing list of token ids into text that can be printed at once: what one call gives never changes later.
 *
 * A token may be part of a character, so a text that ends in a broken character is held back until more ids complete
 * it. Decoding starts a few ids back and not at the beginning, because some decoders write a word's space only when
 * there is a word before; so the cost of a token does not grow with the text. It is the method of vLLM's incremental
 * detokenizer (vllm/transformers_utils/detokenizer_utils.py).
 */
export class IncrementalDecoder {
  readonly #decode: (tokenIds: readonly number[]) => string;
  /** The window: ids already printed that give context, then ids held back. */
  #window: number[];
  #printedIds: number;

  /**
   * `decode` gives the text of some ids. `context` are the ids before the first one, where the text goes on from them;
   * they are not printed.
   */
  constructor(decode: (tokenIds: readonly number[]) => string, context: readonly number[] = []) {
    this.#decode = decode;
    this.#window = context.slice(-maxHeldIds);
    this.#printedIds = this.#window.length;
  }

  /** Takes new ids and answers the text that they completed, often empty. */
  push(tokenIds: readonly number[]): string {
    let text = "";
    for (const tokenId of tokenIds) text += this.#pushOne(tokenId);
    return text;
  }

  /** Answers what was held back, broken characters included. The decoder is then empty. */
  end(): string {
    const text = this.#fresh(this.#decode(this.#window));
    this.#window = [];
    this.#printedIds = 0;
    return text;
  }

  #pushOne(tokenId: number): string {
    const before = this.#decode(this.#window);
    const whole = this.#decode([...this.#window, tokenId]);
    // A special token has no text, also when it stands between the bytes of one character.
    if (whole === before && this.#decode([tokenId]) === "") return "";
    this.#window.push(tokenId);
    const heldIds = this.#window.length - this.#printedIds;
    const isBroken = whole.endsWith(replacement);
    if (isBroken && heldIds < maxHeldIds) return "";
    // Replacement characters may be what the model wrote; the last ids may still become a character after them.
    const keptIds = isBroken ? this.#beginningOfCharacter() : 0;
    const done = this.#window.length - keptIds;
    const text = this.#fresh(keptIds === 0 ? whole : this.#decode(this.#window.slice(0, done)));
    this.#window = this.#window.slice(this.#printedIds);
    this.#printedIds = this.#window.length - keptIds;
    return text;
  }

  /** How many of the last ids could be the first bytes of one character. */
  #beginningOfCharacter(): number {
    return [3, 2, 1].find((count) => this.#decode(this.#window.slice(-count)) === replacement) ?? 0;
  }

  #fresh(whole: string): string {
    return whole.slice(this.#decode(this.#window.slice(0, this.#printedIds)).length);
  }
}
