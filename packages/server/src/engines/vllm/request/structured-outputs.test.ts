import assert from "node:assert/strict";
import { test } from "node:test";
import type { Constraint } from "../../../engine/request.ts";
import { structuredOutputsOf } from "./structured-outputs.ts";

test("each kind of constraint becomes one that xgrammar knows", () => {
  const cases: readonly (readonly [Constraint, object])[] = [
    [{ kind: "json-schema", source: '{"type":"object"}' }, { json: '{"type":"object"}' }],
    [{ kind: "regex", source: "[0-9]+" }, { regex: "[0-9]+" }],
    [{ kind: "grammar", source: 'root ::= "a"' }, { grammar: 'root ::= "a"' }],
    [{ kind: "choice", choices: ["yes", "no"] }, { grammar: 'root ::= "yes" | "no"' }],
    [{ kind: "json-object" }, { json_object: true }],
    [{ kind: "structural-tag", source: '{"type":"structural_tag"}' }, { structural_tag: '{"type":"structural_tag"}' }],
  ];
  for (const [constraint, expected] of cases) {
    assert.deepEqual(structuredOutputsOf(constraint), { ...expected, _backend: "xgrammar" });
  }
});

test("a schema that the engine would hold the output to only in part is refused with the keyword", () => {
  const constraint = { kind: "json-schema", source: '{"type":"integer","multipleOf":3}' } as const;
  assert.throws(() => structuredOutputsOf(constraint), {
    kind: "failed-precondition",
    message: "sampling_params.json_schema: vLLM's xgrammar cannot hold an output to multipleOf in the schema",
  });
});

test("a NUL character never reaches the engine's native code", () => {
  for (const kind of ["regex", "grammar"] as const) {
    assert.throws(() => structuredOutputsOf({ kind, source: "a\0b" }), {
      kind: "invalid-argument",
      field: `sampling_params.${kind}`,
    });
  }
});
