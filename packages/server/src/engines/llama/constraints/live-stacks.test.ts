import assert from "node:assert/strict";
import { test } from "node:test";
import { lower } from "./gbnf-lower.ts";
import { parseGbnf } from "./gbnf-parse.ts";
import { plainRules } from "./gbnf-rules.ts";
import { checkLiveStacks } from "./live-stacks.ts";

function check(source: string): void {
  const { rules, root } = plainRules(lower(parseGbnf(source)));
  checkLiveStacks(rules, root);
}

const DOUBLING = 's ::= "a" s "b" | "a" s "c" | "x"';

for (const [name, source, message] of [
  ["from the start", `root ::= s\n${DOUBLING}`, /after "a+"\)/],
  ["behind a long literal", `root ::= "${"q".repeat(300)}" s | "p"\n${DOUBLING}`, /after "/],
  [
    "behind a decoy that is wider at first",
    `root ::= d | "p" s\nd ::= "q" d "1" | "q" e\ne ::= [q] "z"*\n${DOUBLING}`,
    /after "/,
  ],
  [
    "with a long way round",
    'root ::= e\ne ::= "[left:" e ",op:+]" | "[left:" e ",op:-]" | [0-9]+',
    /after "\[left:\[left:/,
  ],
  ["without recursion", `root ::= ${'("a" | "b")? '.repeat(1200)}`, /at the start/],
  ["with mutual recursion", 'root ::= a\na ::= "(" b ")" | "(" b "]" | "x"\nb ::= "{" a "}"', /after "\(\{\(\{/],
] as const) {
  test(`ways to go on that grow without end are found ${name}`, () => {
    assert.throws(() => check(source), message);
  });
}

for (const [name, source] of [
  ["repeated letters in any grouping", 'root ::= ("a" | "b" | "ab" | "ba")* ("a"* "b"*)*x\nx ::= "!"'],
  [
    "alternatives that differ before they recurse",
    'root ::= e\ne ::= "[op:+,left:" e "]" | "[op:-,left:" e "]" | [0-9]+',
  ],
  [
    "JSON",
    'root ::= v\nv ::= "[" (v ("," v)*)? "]" | "{" (s ":" v ("," s ":" v)*)? "}" | s | [0-9]+\ns ::= "\\"" [^"]* "\\""',
  ],
  ["a thousand options that are tried in order", `root ::= "a"{0,1000} "b"`],
  ["a loop that is entered in two ways", "root ::= ([a-z]+ | [a-z0-9]+)+"],
] as const) {
  test(`${name}: let through`, () => {
    assert.doesNotThrow(() => check(source));
  });
}
