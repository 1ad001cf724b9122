import type { Encoding } from "./automaton-grammar.ts";
import {
  ANY_CODE_POINT,
  type CodePointSet,
  codePointSet,
  codePointsOf,
  difference,
  intersection,
} from "./code-points.ts";
import { alternatives, type GbnfGrammar, type GbnfNode, literal, oneOf, optional, repeat, sequence } from "./gbnf.ts";
import { GbnfBuilder } from "./gbnf-builder.ts";

/**
 * The pieces of JSON text (RFC 8259) as grammar rules. White space is bounded, so that a small model cannot loop in it: none,
 * or one space after ":" and ",". Numbers have at most `MAX_INTEGER_DIGITS` and `MAX_FRACTION_DIGITS` digits, which holds every
 * double as JavaScript and Python print it.
 */

export const MAX_INTEGER_DIGITS = 21;
export const MAX_FRACTION_DIGITS = 25;

const CONTROLS = codePointSet([[0x01, 0x1f]]);
const UNESCAPED = difference(
  ANY_CODE_POINT,
  codePointSet([
    [0x01, 0x1f],
    [0x22, 0x22],
    [0x5c, 0x5c],
  ]),
);
const DIGIT = oneOf(codePointSet([[0x30, 0x39]]));
const NONZERO = oneOf(codePointSet([[0x31, 0x39]]));
const HEX = oneOf(codePointsOf("0123456789abcdefABCDEF"));

/** The grammar of any JSON object. */
export function jsonObjectGrammar(): GbnfGrammar {
  const builder = new GbnfBuilder();
  const root = builder.reserve("root");
  builder.define(root, jsonObject(builder));
  return builder.grammar();
}

export function comma(builder: GbnfBuilder): GbnfNode {
  return builder.shared("comma", () => sequence([literal(","), optional(literal(" "))]));
}

export function colon(builder: GbnfBuilder): GbnfNode {
  return builder.shared("colon", () => sequence([literal(":"), optional(literal(" "))]));
}

export function jsonValue(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-value", () =>
    alternatives([
      jsonObject(builder),
      jsonArray(builder),
      jsonString(builder),
      jsonNumber(builder),
      literal("true"),
      literal("false"),
      literal("null"),
    ]),
  );
}

export function jsonObject(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-object", () => {
    const pair = builder.shared("json-pair", () => sequence([jsonString(builder), colon(builder), jsonValue(builder)]));
    return sequence([literal("{"), commaSeparated(builder, pair, 0, undefined), literal("}")]);
  });
}

function jsonArray(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-array", () =>
    sequence([literal("["), commaSeparated(builder, jsonValue(builder), 0, undefined), literal("]")]),
  );
}

/** `min` to `max` items with commas between them; `max` undefined is unbounded. */
export function commaSeparated(builder: GbnfBuilder, item: GbnfNode, min: number, max: number | undefined): GbnfNode {
  if (max === 0) return sequence([]);
  const more = sequence([comma(builder), item]);
  const list = sequence([item, repeat(more, Math.max(0, min - 1), max === undefined ? undefined : max - 1)]);
  return min === 0 ? optional(list) : list;
}

/** A string of `min` to `max` characters, written in any way that JSON allows except for unpaired surrogates. */
export function jsonString(builder: GbnfBuilder, min: number = 0, max?: number): GbnfNode {
  const char = builder.shared("json-char", () => {
    const named = oneOf(codePointsOf('"\\/bfnrt'));
    const plane0 = alternatives([
      sequence([oneOf(codePointsOf("0123456789abcABCefEF")), repeat(HEX, 3, 3)]),
      sequence([oneOf(codePointsOf("dD")), oneOf(codePointsOf("01234567")), repeat(HEX, 2, 2)]),
    ]);
    const pair = sequence([
      oneOf(codePointsOf("dD")),
      oneOf(codePointsOf("89abAB")),
      repeat(HEX, 2, 2),
      literal("\\u"),
      oneOf(codePointsOf("dD")),
      oneOf(codePointsOf("cdefCDEF")),
      repeat(HEX, 2, 2),
    ]);
    const escaped = builder.shared("json-escape", () =>
      alternatives([named, sequence([literal("u"), alternatives([plane0, pair])])]),
    );
    return alternatives([oneOf(UNESCAPED), sequence([literal("\\"), escaped])]);
  });
  const text = (): GbnfNode => sequence([literal('"'), repeat(char, min, max), literal('"')]);
  return min === 0 && max === undefined ? builder.shared("json-string", text) : text();
}

export function jsonNumber(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-number", () => {
    const fraction = sequence([literal("."), repeat(DIGIT, 1, MAX_FRACTION_DIGITS)]);
    const sign = optional(oneOf(codePointsOf("+-")));
    const exponent = sequence([oneOf(codePointsOf("eE")), sign, repeat(DIGIT, 1, 3)]);
    return sequence([optional(literal("-")), digits(), optional(fraction), optional(exponent)]);
  });
}

export function jsonInteger(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-integer", () => {
    const nonzero = sequence([optional(literal("-")), NONZERO, repeat(DIGIT, 0, MAX_INTEGER_DIGITS - 1)]);
    return alternatives([literal("0"), nonzero]);
  });
}

export function jsonBoolean(builder: GbnfBuilder): GbnfNode {
  return builder.shared("json-boolean", () => alternatives([literal("true"), literal("false")]));
}

function digits(): GbnfNode {
  return alternatives([literal("0"), sequence([NONZERO, repeat(DIGIT, 0, MAX_INTEGER_DIGITS - 1)])]);
}

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["\b", "b"],
  ["\f", "f"],
  ["\n", "n"],
  ["\r", "r"],
  ["\t", "t"],
]);
const SHORT_ESCAPED = codePointsOf([...SHORT_ESCAPES.keys()].join(""));

/**
 * The ways to write a code point of a set within a JSON string: itself where JSON allows that, otherwise the escape that
 * JSON.stringify and Python's json.dumps write. One way for each code point, so that a pattern sees the decoded text.
 */
export const jsonStringEncoding: Encoding = (set) => {
  const ways: GbnfNode[] = [];
  const plain = intersection(set, UNESCAPED);
  if (plain.length > 0) ways.push(oneOf(plain));
  const short = codePointsIn(intersection(set, SHORT_ESCAPED)).map((char) => SHORT_ESCAPES.get(char) ?? "");
  if (short.length > 0) ways.push(sequence([literal("\\"), oneOf(codePointsOf(short.join("")))]));
  const long = codePointsIn(difference(intersection(set, CONTROLS), SHORT_ESCAPED));
  for (const prefix of ["\\u000", "\\u001"]) {
    const last = long.map(escapeOf).filter((text) => text.startsWith(prefix));
    if (last.length === 0) continue;
    ways.push(sequence([literal(prefix), oneOf(codePointsOf(last.map((text) => text.slice(-1)).join("")))]));
  }
  return ways;
};

function escapeOf(control: string): string {
  return JSON.stringify(control).slice(1, -1);
}

function codePointsIn(set: CodePointSet): string[] {
  return set.flatMap(([low, high]) =>
    Array.from({ length: high - low + 1 }, (_, index) => String.fromCodePoint(low + index)),
  );
}
