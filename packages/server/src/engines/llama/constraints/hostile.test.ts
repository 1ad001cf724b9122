import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGbnf } from "./gbnf-check.ts";
import { schemaGrammar } from "./json-schema.ts";
import { regexGrammar } from "./regex.ts";

/** A chain of rules, each made from the name of the next. */
function chain(length: number, body: (next: string) => string): string {
  const rules = Array.from({ length }, (_, index) => `r${index} ::= ${body(`r${index + 1}`)}`);
  return `root ::= r0\n${rules.join("\n")}\nr${length} ::= "a"\n`;
}

// Each was run against the addon in a process of its own, with 8 MiB of stack and 12 GB of memory.
const GRAMMARS: readonly (readonly [what: string, source: string, message: RegExp])[] = [
  [
    "hangs: 2^40 paths in the left recursion check",
    chain(40, (next) => `${next} | ${next}`),
    /too many ways to begin|ways to go on/,
  ],
  [
    "hangs: the same with repetitions",
    'root ::= d\na ::= "a"?\nb ::= a{2000} "x"?\nc ::= b{2000} "x"?\nd ::= c{2000} "x"',
    /too many ways to begin/,
  ],
  [
    "SIGSEGV: recursion of the left recursion check",
    chain(15_000, (next) => next),
    /more than 2048 rules that each begin with the next/,
  ],
  [
    "SIGSEGV: recursion of the parser",
    `root ::= ${"(".repeat(100_000)}"a"${")".repeat(100_000)}`,
    /nested more than 64 deep/,
  ],
  [
    "eats memory: left recursion behind two rules that may be empty",
    'root ::= b root "x" | "y"\nb ::= c\nc ::= "z" | ""',
    /left recursion/,
  ],
  [
    "eats memory: stacks double",
    'root ::= s\ns ::= "a" s "b" | "a" s "c" | "x"',
    /ways to go on open at the same time \(after "aaaa/,
  ],
  [
    "eats memory: stacks double, hidden behind a literal",
    `root ::= "${"q".repeat(40)}" s "z" | "x"+\ns ::= "a" s "b" | "a" s "c" | "x"`,
    /ways to go on/,
  ],
  [
    "eats memory: stacks double without recursion",
    chain(30, (next) => `"b" ${next} "x" | "b" ${next} "y"`),
    /ways to go on/,
  ],
  ["eats memory: stacks double at once", chain(14, (next) => `${next} "x" | ${next} "y"`), /ways to go on/],
  ["slow: a stack for each of 1,500 options", `root ::= ${'"a"? '.repeat(1500)}`, /ways to go on/],
  [
    "slow: 40 million elements",
    `root ::= ${`"${"a".repeat(500)}"{2000} `.repeat(40)}`,
    /more than 1048576 grammar elements/,
  ],
  ["slow: nested blocks", `root ::= ${"(".repeat(6)}"a"${"{0,100000})".repeat(6)}`, /begin with the next one/],
  ["a rule for each letter of a long text", `root ::= ${'("a")? '.repeat(40_000)}`, /ways to go on|rules in llama.cpp/],
];

for (const [what, source, message] of GRAMMARS) {
  test(`${what}: refused before it reaches the addon`, () => {
    assert.throws(() => checkGbnf(source), message);
  });
}

test("a text of the largest size is read in bounded time, whatever it holds", { timeout: 20_000 }, () => {
  const size = 250_000;
  for (const source of [
    `root ::= ${"|".repeat(size)}`,
    `root ::= "${"a".repeat(size)}"`,
    `root ::= ${"a_b ".repeat(size / 4)}\na_b ::= "x"`,
    `root ::= ${Array.from({ length: 20_000 }, (_, index) => `"${index}"`).join("|")}`,
    `root ::= "a"\n${Array.from({ length: 15_000 }, (_, index) => `a${"_-".charAt(index % 2)}${index} ::= "b"`).join("\n")}`,
    `root ::= "a" #${"#".repeat(size)}`,
    `root ::= ${'"a" #\n'.repeat(size / 7)}`,
    `root ::= "a"${"?".repeat(size)}`,
    `root ::= [${"a-z".repeat(size / 3)}]`,
  ]) {
    try {
      checkGbnf(source);
    } catch (thrown) {
      assert.equal((thrown as Error).name, "ConstraintError", source.slice(0, 40));
    }
  }
});

const REGEXES: readonly (readonly [source: string, message: RegExp])[] = [
  ["((((a{1000}){1000}){1000}){1000}){1000}", /more than 50000 states/],
  ["a{100001}", /a repetition above 100000/],
  [`${"(".repeat(1000)}a${")".repeat(1000)}`, /nested more than 64 deep/],
  ["(a|a?){3000}(a|b?){2000}", /too large/],
];

for (const [source, message] of REGEXES) {
  test(`the regular expression ${source.slice(0, 30)} is refused`, () => {
    assert.throws(() => regexGrammar(source), message);
  });
}

test("a regular expression of the largest size is read in bounded time", { timeout: 20_000 }, () => {
  const letters = Array.from({ length: 2000 }, (_, index) => String.fromCodePoint(0x4e00 + index));
  for (const source of [
    letters.map((letter) => `[^${letter}]?`).join(""),
    letters.map((letter) => `${letter}?.?`).join(""),
    `((${"|".repeat(15_000)})[ab])*a.{12}`,
    "(a|b|ab)*".repeat(1000),
    `${".*a".repeat(20)}${".?".repeat(2000)}`,
    `${"(?:a|b)?".repeat(2000)}`,
  ]) {
    try {
      regexGrammar(source);
    } catch (thrown) {
      assert.equal((thrown as Error).name, "ConstraintError", source.slice(0, 40));
    }
  }
});

test("schemas that multiply, nest or come back to themselves are refused", () => {
  const deep = (depth: number): unknown => (depth === 0 ? {} : { items: deep(depth - 1) });
  const doubling = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, { allOf: [next, next], type: "object" }];
    }),
  );
  const cases: readonly (readonly [schema: unknown, message: RegExp])[] = [
    [deep(100), /nested more than 64 deep/],
    [
      { $defs: { ...doubling, d40: {} }, $ref: "#/$defs/d0", type: "object" },
      /more than 10000 schemas|nested more than 64/,
    ],
    [{ $ref: "#", type: "object" }, /comes back to itself/],
    [
      {
        allOf: Array.from({ length: 10 }, () => ({ anyOf: [{ minLength: 1 }, { maxLength: 9 }, { type: "string" }] })),
      },
      /more than 256 alternatives/,
    ],
    [
      { properties: Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`p${index}`, {}])) },
      /more than 1000 properties/,
    ],
    [{ enum: Array.from({ length: 10_001 }, (_, index) => index) }, /at most 10000/],
  ];
  for (const [schema, message] of cases) assert.throws(() => schemaGrammar(JSON.stringify(schema)), message);
  assert.throws(
    () => schemaGrammar(`${'{"const":'.repeat(20_000)}1${"}".repeat(20_000)}`),
    /nested more than 256 deep/,
  );
});
