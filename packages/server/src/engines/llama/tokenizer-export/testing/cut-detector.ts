import fc from "fast-check";

const characters = [..."aAsSdDtTlLmreVzZ019 \n\r\t'.,!/$<`|_(éÉßΩя中あ가٣½Ⅷա\u0301\u00a0\u3000…。，🙂"];

/**
 * A byte-level vocabulary that shows where a text was cut into words: almost every pair of bytes of
 * {@link cutDetectorTexts} merges, in an order without pattern, so that a cut anywhere changes which pairs are made.
 */
export function cutDetectorVocabulary(): { readonly tokens: readonly string[]; readonly merges: readonly string[] } {
  const letterOf = byteLetters();
  const bytes = [...new Set(Buffer.from(characters.join("")))].map((byte) => letterOf[byte] ?? "");
  const pairs = bytes.flatMap((left) => bytes.map((right) => [left, right] as const));
  const shuffled = fc.sample(fc.shuffledSubarray(pairs, { minLength: pairs.length }), { numRuns: 1, seed: 7 })[0] ?? [];
  return {
    tokens: ["<|end|>", ...letterOf, ...shuffled.map(([left, right]) => left + right)],
    merges: shuffled.map(([left, right]) => `${left} ${right}`),
  };
}

/** Random texts of letters, digits, marks and spaces of several scripts, always the same. */
export function cutDetectorTexts(count: number): readonly string[] {
  const unit = fc.constantFrom(...characters, "'s", "'LL", "  ", "\r\n", "123", "xyz");
  return fc.sample(fc.string({ unit, maxLength: 14 }), { numRuns: count, seed: 11 });
}

/**
 * The letter that stands for each byte in a byte-level vocabulary: printable Latin-1 stands for itself, the others for
 * U+0100 and on. Source: `bytes_to_unicode` in openai/gpt-2 `src/encoder.py`.
 */
function byteLetters(): readonly string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCodePoint(printable ? byte : next++);
  });
}
