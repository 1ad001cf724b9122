import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { IncrementalDecoder } from "./incremental-decoder.ts";

/** One id is one byte, as in the scripted engine's tokenizer; ids above 255 are special tokens without text. */
const decodeBytes = (ids: readonly number[]): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids.filter((id) => id < 256)));

/** Byte fallback as in SentencePiece models: a run of bytes that is not UTF-8 as a whole is all replacement characters. */
function decodeFallback(ids: readonly number[]): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(ids));
  } catch {
    return "\uFFFD".repeat(ids.length);
  }
}

function inPieces(decode: (ids: readonly number[]) => string, ids: readonly number[]): string[] {
  const decoder = new IncrementalDecoder(decode);
  return [...ids.map((id) => decoder.push([id])), decoder.end()];
}

const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

test("a character that spans tokens is printed when it is whole", () => {
  assert.deepEqual(inPieces(decodeBytes, bytesOf("a€b")), ["a", "", "", "€", "b", ""]);
});

test("any text comes out unchanged, and no piece has a broken character", () => {
  const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => !value.includes("\uFFFD"));
  for (const decode of [decodeBytes, decodeFallback]) {
    fc.assert(
      fc.property(text, (value) => {
        fc.pre(value.isWellFormed());
        const pieces = inPieces(decode, bytesOf(value));
        assert.equal(pieces.join(""), value);
        assert.ok(pieces.every((piece) => piece.isWellFormed() && !piece.includes("\uFFFD")));
      }),
    );
  }
});

test("it does not matter how the ids are cut into calls", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.array(fc.nat(60), { maxLength: 5 }),
      (value, cuts) => {
        const ids = bytesOf(value);
        const decoder = new IncrementalDecoder(decodeBytes);
        let text = "";
        let from = 0;
        for (const to of [...cuts.toSorted((a, b) => a - b), ids.length]) {
          text += decoder.push(ids.slice(from, to));
          from = Math.max(from, to);
        }
        assert.equal(text + decoder.end(), decodeBytes(ids));
      },
    ),
  );
});

test("bytes that are no text come out as they decode, and are held back a few ids only", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const ids = [...bytes];
      const longest = { ids: 0 };
      const decoder = new IncrementalDecoder((window) => {
        longest.ids = Math.max(longest.ids, window.length);
        return decodeBytes(window);
      });
      let text = "";
      for (const id of ids) text += decoder.push([id]);
      text += decoder.end();
      // Invalid bytes may be cut at another place than in one go, so only valid text is compared as a whole.
      assert.ok(text.length <= ids.length);
      if (!decodeBytes(ids).includes("\uFFFD")) assert.equal(text, decodeBytes(ids));
      assert.ok(longest.ids <= 10, `${longest.ids}`);
    }),
  );
});

test("a decoder that drops the first word's space gets context, so that no space is lost", () => {
  const words = ["", "▁the", "▁cap", "ital", "▁of"];
  const decode = (ids: readonly number[]): string =>
    ids
      .map((id) => words[id] ?? "")
      .join("")
      .replaceAll("▁", " ")
      .replace(/^ /, "");
  assert.deepEqual(inPieces(decode, [1, 2, 3, 4]), ["the", " cap", "ital", " of", ""]);
  const afterPrompt = new IncrementalDecoder(decode, [1]);
  assert.equal(afterPrompt.push([2]), " cap");
});

test("ids without text change nothing, wherever they stand", () => {
  const special = 300;
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 6 }), fc.array(fc.nat(7)), (value, counts) => {
      const ids = bytesOf(value).flatMap((byte, index) => [...Array(counts[index] ?? 1).fill(special), byte]);
      assert.equal(inPieces(decodeBytes, ids).join(""), decodeBytes(ids));
    }),
  );
});
