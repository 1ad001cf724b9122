import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { choiceGrammar } from "./choice-grammar.ts";

test("choices become the alternatives of one rule", () => {
  assert.equal(choiceGrammar(["yes", "no"]), 'root ::= "yes" | "no"');
});

test("quotes, backslashes, breaks and what is not ASCII are escaped", () => {
  assert.equal(choiceGrammar(['a"b\\c\n']), 'root ::= "a\\"b\\\\c\\n"');
  assert.equal(choiceGrammar(["é\u{1f600}\u0007"]), 'root ::= "\\u00e9\\U0001f600\\u0007"');
});

test("the grammar is printable ASCII on one line, and its literals read back as the choices", () => {
  const choices = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(choices, (given) => {
      const grammar = choiceGrammar(given);
      assert.match(grammar, /^[\x20-\x7e]+$/);
      const literals = [...grammar.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, literal = ""]) =>
        literal.replace(/\\(?:U([0-9a-f]{8})|u([0-9a-f]{4})|(.))/g, (_, long, short, other: string) => {
          if (other !== undefined) return { n: "\n", r: "\r", t: "\t" }[other] ?? other;
          return String.fromCodePoint(Number.parseInt(long ?? short, 16));
        }),
      );
      assert.deepEqual(literals, given);
    }),
  );
});
