import { HpackError } from "../src/http2/hpack/hpack-error.ts";
import { decodeHuffman, encodeHuffman, huffmanBytes } from "../src/http2/hpack/huffman.ts";
import { type Fuzzer, rule, sameBytes } from "./fuzzer.ts";
import { Refused, referenceHuffman } from "./reference-hpack.ts";

/** Huffman-coded strings against a decoder that goes bit by bit. */
export const huffmanFuzzer: Fuzzer = {
  name: "huffman",
  maxBytes: 40,

  make(random) {
    // Half of the texts are what fields hold; the others have bytes with the longest codes, too.
    const letters = random.oneIn(2) ? 128 : 256;
    const text = String.fromCharCode(...Array.from({ length: random.below(12) }, () => random.below(letters)));
    const out = new Uint8Array(huffmanBytes(text));
    encodeHuffman(out, 0, text);
    if (random.oneIn(4) && out.length > 0) out[out.length - 1] = random.next();
    return out;
  },

  check(input) {
    const text = decoded(() => decodeHuffman(input, 0, input.length), HpackError);
    const expected = decoded(() => referenceHuffman(input), Refused);
    rule(
      text === expected,
      () => `decoded to ${JSON.stringify(text)} and by the reference to ${JSON.stringify(expected)}`,
    );
    if (text === undefined) return "refused";
    const again = new Uint8Array(huffmanBytes(text));
    rule(encodeHuffman(again, 0, text) === again.length, () => "another length than was foretold");
    rule(sameBytes(again, input), () => "encoded again to other bytes");
    return `${text.length}`;
  },
};

function decoded(work: () => string, refusal: new (message: string) => Error): string | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof refusal) return undefined;
    throw thrown;
  }
}
