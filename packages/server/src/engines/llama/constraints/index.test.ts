import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineError } from "../../../engine/errors.ts";
import type { Constraint } from "../../../engine/request.ts";
import { toGbnf } from "./index.ts";
import { MAX_SOURCE_BYTES } from "./limits.ts";
import { acceptedBy, loadGrammarJudge, skipWithout } from "./testing/grammar-judge.ts";

const judge = await loadGrammarJudge();
const skip = skipWithout(judge);

test("a constraint that cannot be served is INVALID_ARGUMENT with its field and a sentence", () => {
  const cases: readonly (readonly [Constraint, field: string, message: RegExp])[] = [
    [{ kind: "json-schema", source: "{" }, "sampling_params.json_schema", /is not JSON/],
    [{ kind: "json-schema", source: "[]" }, "sampling_params.json_schema", /at #: \[\] is not a schema/],
    [{ kind: "regex", source: "a(?=b)" }, "sampling_params.regex", /lookahead at offset 1/],
    [{ kind: "grammar", source: "root ::= (" }, "sampling_params.grammar", /line 1, column 11: expected "\)"/],
    [{ kind: "choice", choices: [] }, "sampling_params.choice", /at least one/],
  ];
  for (const [constraint, field, message] of cases) {
    assert.throws(
      () => toGbnf(constraint),
      (thrown: unknown) => {
        assert.ok(thrown instanceof EngineError);
        assert.equal(thrown.kind, "invalid-argument");
        assert.equal(thrown.field, field);
        assert.match(thrown.message, message);
        assert.ok(thrown.message.startsWith(field));
        return true;
      },
    );
  }
});

test("a source above the limit is refused before it is read", () => {
  const source = " ".repeat(MAX_SOURCE_BYTES + 1);
  for (const kind of ["json-schema", "grammar"] as const) {
    assert.throws(() => toGbnf({ kind, source }), /is longer than 262144 bytes/);
  }
  assert.throws(
    () => toGbnf({ kind: "grammar", source: `root ::= "${"é".repeat(MAX_SOURCE_BYTES / 2)}"` }),
    /is longer/,
  );
  assert.throws(() => toGbnf({ kind: "regex", source: "a".repeat(20_000) }), /at most 16384/);
});

test("json-object takes any object and nothing else", { skip }, () => {
  const accepts = acceptedBy(judge, { kind: "json-object" });
  for (const value of [{}, { a: 1 }, { ü: [null, true, { b: ['x\n"\\\u0001😀'] }], c: -0.25, d: 1e-7, e: 5e-324 }]) {
    assert.equal(accepts(JSON.stringify(value)), true, JSON.stringify(value));
  }
  for (const text of [
    "",
    "1",
    "[]",
    "{",
    "{}}",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":"\\x"}',
    "{ }",
  ]) {
    assert.equal(accepts(text), false, text);
  }
  assert.equal(accepts('{"a": 1, "b": [1, 2]}'), true);
  assert.equal(accepts('{"a":  1}'), false);
  assert.equal(accepts('{"\\u00e9\\ud83d\\ude00":"\\/"}'), true);
  assert.equal(accepts('{"\\ud83d":1}'), false);
});

test("a structural tag is another engine's", () => {
  assert.throws(() => toGbnf({ kind: "structural-tag", source: "{}" }), {
    kind: "unimplemented",
    field: "sampling_params.structural_tag",
  });
});
