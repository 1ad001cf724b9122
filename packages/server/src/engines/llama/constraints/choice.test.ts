import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { choiceGrammar } from "./choice.ts";
import { MAX_CHOICES, MAX_SOURCE_BYTES } from "./limits.ts";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

test("exactly the choices match, with prefixes of one another, quotes and any script", { skip }, () => {
  const choices = ["yes", "yes!", "no", 'a "quoted" \\ text', "line\nbreak", "Zürich", "東京", "😀", "[^a-z]", "yes"];
  const accepts = acceptedBy(judge, { kind: "choice", choices });
  for (const choice of choices) assert.equal(accepts(choice), true, choice);
  for (const other of ["", "y", "yes!!", "n", "yesno", "Zurich", "東", "a", "\n"])
    assert.equal(accepts(other), false, other);
});

test("any list of texts is matched exactly", { skip }, () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }).filter((value) => !value.includes("\0"));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), fc.array(text, { maxLength: 8 }), (choices, others) => {
      const accepts = acceptedBy(judge, { kind: "choice", choices });
      for (const value of [...choices, ...others, choices.join("")])
        assert.equal(accepts(value), choices.includes(value));
    }),
    { numRuns: 60 },
  );
});

test("an empty list, an empty text, what no model can write and too much of it are refused", () => {
  assert.throws(() => choiceGrammar([]), /at least one/);
  assert.throws(() => choiceGrammar(["a", ""]), /empty text as choice 1/);
  assert.throws(() => choiceGrammar(["a\0"]), /NUL/);
  assert.throws(() => choiceGrammar(["\ud83d"]), /surrogate/);
  assert.throws(
    () => choiceGrammar(Array.from({ length: MAX_CHOICES + 1 }, (_, index) => `${index}`)),
    /at most 10000/,
  );
  assert.throws(() => choiceGrammar(["x".repeat(MAX_SOURCE_BYTES), "y"]), /bytes of choices/);
});

test("ten thousand choices are one way open at a time", { skip }, () => {
  const choices = Array.from({ length: MAX_CHOICES }, (_, index) => `item ${index * 7}`);
  const accepts = acceptedBy(judge, { kind: "choice", choices });
  assert.equal(accepts("item 69993"), true);
  assert.equal(accepts("item 69994"), false);
});
