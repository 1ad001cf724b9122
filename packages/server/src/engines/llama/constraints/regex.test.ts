import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConstraintError } from "./constraint-error.ts";
import { regexGrammar } from "./regex.ts";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

/** Regular expressions that JavaScript reads in the same way, with texts to try. */
const SAME_AS_JAVASCRIPT: readonly (readonly [source: string, ...texts: string[]])[] = [
  ["", "", "a"],
  ["abc", "abc", "ab", "abcd", "xabc"],
  ["^abc$", "abc", "abcabc"],
  ["^a$|^b$", "a", "b", "ab"],
  ["(?:^a|b$)", "a", "b", "ab"],
  ["a|b|", "a", "b", "", "ab"],
  ["(a|b)*c+d?", "c", "abbacd", "ccd", "abd"],
  ["a*?b+?c??", "b", "aabbc", "c"],
  ["a{3}b{2,}c{1,3}d{0}", "aaabbc", "aaabbbccc", "aaabc", "aaabbcccc", "aaabbcd"],
  ["\\d\\D\\w\\W\\s\\S", "1a_- x", "1a_-xx", "٣a_- x"],
  ["[a-cx-z][^a-c][\\]\\\\^-][-a][\\w.-]+", "ad]-.", "zé\\a-_", "aa]-a", "b\n^-9"],
  ["[\\d\\s]+", "1 2\t3", "1a"],
  ["[^\\d\\s]+", "abc", "a1"],
  ["\\t\\n\\r\\f\\v\\x41\\u00e9\\u{1F600}", "\t\n\r\f\vAé😀", "t"],
  ["\\.\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\^\\$\\/\\\\", ".*+?()[]{}|^$/\\", ".*"],
  [".", "a", "\n", "\r", "\u2028", "😀", "ab", "\u00a0"],
  ["\\s", " ", "\u00a0", "\u2003", "\ufeff", "\u3000", "a", "\u200b", "\u0085", "\x1c"],
  ["(?<year>\\d{4})-(?<month>0[1-9]|1[0-2])", "2024-12", "2024-13"],
  ["(a*)*", "", "aaa", "b"],
  ["(a*)+b", "b", "aab", "a"],
  ["(a?){3,5}", "", "aaaaa", "aaaaaa"],
  ["(a|ab)(c|bcd)(d*)", "abcd", "acd", "abbcd", "abc"],
  ["(?:a(?:b(?:c)?)?)?", "", "a", "ab", "abc", "ac"],
  ["[\\s\\S]*", "", "a\nb😀"],
  ["\\uD83D\\uDE00", "😀", "x"],
  ["x*x*x*x*x*y", "xxxxxy", "y", "xxx"],
];

for (const [source, ...texts] of SAME_AS_JAVASCRIPT) {
  test(`/${source}/ matches what JavaScript matches`, { skip }, () => {
    const accepts = acceptedBy(judge, { kind: "regex", source });
    const expected = new RegExp(`^(?:${source})$`, "u");
    for (const text of texts) assert.equal(accepts(text), expected.test(text), JSON.stringify(text));
  });
}

test("what only Python and Rust write has their meaning", { skip }, () => {
  for (const [source, matching, other] of [
    ["\\A(?P<name>a)\\Z", "a", "b"],
    ["a\\z", "a", "az"],
    ["a{,2}b", "aab", "aaab"],
    ["\\x{41}\\U0001F600", "A😀", "A"],
    ['{"a": [0-9]+}', '{"a": 12}', "a"],
    ["x{a}", "x{a}", "x"],
    ["[[a]+", "[a[", "]"],
    ["a]", "a]", "a"],
    ["[\\w-.]+", "a-.", "a,"],
    ["\\-\\_\\@\\ ", "-_@ ", "-"],
  ] as const) {
    const accepts = acceptedBy(judge, { kind: "regex", source });
    assert.equal(accepts(matching), true, source);
    assert.equal(accepts(other), false, source);
  }
});

const REFUSED: readonly (readonly [source: string, message: RegExp])[] = [
  ["(?=a)", /lookahead at offset 0/],
  ["a(?!b)", /lookahead at offset 1/],
  ["(?<=a)b", /lookbehind at offset 0/],
  ["(?<!a)b", /lookbehind/],
  ["(a)\\1", /a backreference "\\1" at offset 3/],
  ["(?<n>a)\\k<n>", /a backreference "\\k" at offset 7/],
  ["(?P<n>a)(?P=n)", /a backreference at offset 8/],
  ["a\\b", /the word boundary "\\b" at offset 1/],
  ["\\Ba", /the word boundary "\\B"/],
  ["(?i)a", /inline flags at offset 0/],
  ["(?i:a)", /inline flags/],
  ["(?-i:a)", /inline flags/],
  ["a*+", /a possessive quantifier at offset 1/],
  ["a{2}+", /a possessive quantifier/],
  ["(?>a)", /an atomic group/],
  ["\\p{L}", /the Unicode class "\\p"/],
  ["[\\P{L}]", /the Unicode class "\\P"/],
  ["a^b", /an anchor that is not at the start at offset 1/],
  ["a$b", /an anchor that is not at the end at offset 1/],
  ["(a$)b", /an anchor that is not at the end at offset 2/],
  ["b(^a)", /an anchor that is not at the start at offset 2/],
  ["(^a)*", /an anchor in a repeated group at offset 1/],
  ["^*", /a quantifier that follows nothing/],
  ["*a", /nothing to repeat before "\*" at offset 0/],
  ["a**", /a quantifier that follows nothing to repeat at offset 1/],
  ["a{2}{3}", /a quantifier that follows nothing to repeat/],
  ["(a", /"\(" without "\)" at offset 0/],
  ["a)", /"\)" without "\(" at offset 1/],
  ["[a", /"\[" without "\]" at offset 0/],
  ["[]a]", /a set that starts with "\]"/],
  ["[b-a]", /larger end first/],
  ["[[:alpha:]]", /a POSIX class/],
  ["[^\\s\\S]", /a set that no character is in/],
  ["a{3,2}", /maximum is below its minimum/],
  ["\\", /a backslash at the end/],
  ["\\y", /the unknown escape "\\y"/],
  ["\\x4", /"\\x" without 2 hexadecimal digits/],
  ["\\u{110000}", /no character/],
  ["\\ud800", /a surrogate/],
  ["\ud800", /not well-formed/],
  ["(?#x)a", /a comment group/],
  ["(?(1)a|b)", /a conditional group/],
  ["(?&x)", /an unknown group/],
];

for (const [source, message] of REFUSED) {
  test(`/${source}/ is refused with the construct and its place`, () => {
    assert.throws(
      () => regexGrammar(source),
      (thrown: unknown) => thrown instanceof ConstraintError && message.test(thrown.message),
    );
  });
}

/** A regular expression in JavaScript's notation with a text that it matches. */
interface Example {
  readonly source: string;
  readonly text: string;
}

const leaf: fc.Arbitrary<Example> = fc.oneof(
  fc.constantFrom("a", "b", "1", " ", "é", "😀", '"', "-").map((char) => ({ source: char, text: char })),
  fc
    .constantFrom("\\.", "\\\\", "\\]", "\\n")
    .map((source) => ({ source, text: source === "\\n" ? "\n" : source.slice(1) })),
  fc.constantFrom(
    { source: "[ab]", text: "b" },
    { source: "[^ab]", text: "é" },
    { source: "[a-c1]", text: "1" },
    { source: "[^\\d\\s]", text: "a" },
    { source: "\\d", text: "1" },
    { source: "\\w", text: "a" },
    { source: "\\s", text: " " },
    { source: "\\S", text: "😀" },
    { source: ".", text: '"' },
    { source: "", text: "" },
  ),
);

const { regex } = fc.letrec<{ regex: Example }>((tie) => ({
  regex: fc.oneof(
    { depthSize: "small", maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie("regex"), { minLength: 1, maxLength: 4 }).map((items) => ({
      source: `(?:${items.map(({ source }) => source).join("")})`,
      text: items.map(({ text }) => text).join(""),
    })),
    fc.tuple(fc.array(tie("regex"), { minLength: 1, maxLength: 3 }), fc.nat()).map(([options, index]) => ({
      source: `(${options.map(({ source }) => source).join("|")})`,
      text: options[index % options.length]?.text ?? "",
    })),
    fc
      .tuple(tie("regex"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"), fc.integer({ min: 2, max: 3 }))
      .map(([{ source, text }, quantifier, count]) => ({
        source: `(?:${source})${quantifier}`,
        text: quantifier === "{2}" ? text.repeat(2) : quantifier === "?" ? text : text.repeat(count),
      })),
  ),
}));

const someText = fc
  .array(fc.constantFrom("a", "b", "1", " ", "é", "😀", '"', "-", ".", "\\", "\n"), { maxLength: 6 })
  .map((chars) => chars.join(""));

// JavaScript's engine backtracks, so it gets short texts.
const shortExample = regex.filter(({ text }) => text.length <= 12);

test("any regular expression matches the texts that JavaScript says it does", { skip }, () => {
  fc.assert(
    fc.property(shortExample, fc.array(someText, { maxLength: 8 }), ({ source, text }, texts) => {
      const accepts = acceptedBy(judge, { kind: "regex", source });
      const expected = new RegExp(`^(?:${source})$`, "u");
      assert.equal(expected.test(text), true);
      for (const one of [text, text.slice(1), `${text}a`, ...texts]) {
        // Half a surrogate pair is nothing that a model can write.
        if (one.isWellFormed()) assert.equal(accepts(one), expected.test(one), JSON.stringify(one));
      }
    }),
    { numRuns: 250 },
  );
});

test("where the deterministic automaton is too large, the other one means the same", { skip }, () => {
  for (const source of ["(?:.*a.{12})", "[a-z]{0,400}[a-z0-9]{0,400}x"]) {
    const accepts = acceptedBy(judge, { kind: "regex", source });
    const expected = new RegExp(`^(?:${source})$`, "u");
    for (const text of ["a123456789012", "xa12345678901", "b", "x", "abc123x", "ab!x", `${"a".repeat(300)}1x`]) {
      assert.equal(accepts(text), expected.test(text), text);
    }
  }
});
