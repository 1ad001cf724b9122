import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StopStrings } from "./stop-strings.ts";

/** One id is one byte. */
const decode = (ids: readonly number[]): string =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids));
const bytesOf = (text: string): number[] => [...new TextEncoder().encode(text)];

function tokensUntilStop(text: string, stops: readonly string[], minTokens = 0, perStep = 1): number | undefined {
  const watch = new StopStrings(stops, minTokens, decode, []);
  const ids = bytesOf(text);
  for (let at = 0; at < ids.length; at += perStep) {
    const match = watch.push(ids.slice(at, at + perStep));
    if (match !== undefined) return at + match.keptTokens;
  }
  return undefined;
}

test("an output is cut behind the token that completes a stop string", () => {
  assert.equal(tokensUntilStop("abcdef", ["cd"]), 4);
  assert.equal(tokensUntilStop("abcdef", ["x"]), undefined);
});

test("several tokens of one step are cut where the stop string ends", () => {
  const watch = new StopStrings(["cd"], 0, decode, []);
  assert.equal(watch.push(bytesOf("abc")), undefined);
  assert.deepEqual(watch.push(bytesOf("defg")), { text: "cd", keptTokens: 1 });
});

test("a stop string of characters that span tokens is found when its last byte is there", () => {
  assert.equal(tokensUntilStop("a€b", ["€"]), 4);
  assert.equal(tokensUntilStop("日本語", ["本語"]), 9);
});

test("a stop string that is complete before the least number of tokens ends nothing", () => {
  assert.equal(tokensUntilStop("ababab", ["ab"], 3), 4);
  assert.equal(tokensUntilStop("ab----", ["ab"], 3), undefined);
});

test("the first word goes on from the prompt", () => {
  // As in SentencePiece models, a word's space is written only when there is a word before it.
  const words = ["one", "two"];
  const spaced = (ids: readonly number[]): string => ids.map((id) => words[id]).join(" ");
  assert.equal(new StopStrings([" two"], 0, spaced, []).push([1]), undefined);
  assert.deepEqual(new StopStrings([" two"], 0, spaced, [0]).push([1]), { text: " two", keptTokens: 1 });
});

test("an output ends at the same token however its tokens are spread over steps", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 20 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  });
  fc.assert(
    fc.property(letters, stops, fc.nat(6), fc.integer({ min: 2, max: 5 }), (text, given, minTokens, perStep) => {
      const alone = tokensUntilStop(text, given, minTokens);
      assert.equal(tokensUntilStop(text, given, minTokens, perStep), alone);
      if (minTokens > 0) return;
      const ends = given
        .map((stop) => text.indexOf(stop) + stop.length)
        .filter((_, i) => text.includes(given[i] ?? ""));
      const expected = ends.length === 0 ? undefined : Buffer.byteLength(text.slice(0, Math.min(...ends)));
      assert.equal(alone, expected);
    }),
  );
});
