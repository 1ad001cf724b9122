import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineCoreError, type EngineCoreFault } from "@tokenwire/engine-core";
import { EngineError } from "../../engine/errors.ts";
import { engineErrorOf } from "./engine-core-error.ts";

test("each fault of the client has its kind in the engine contract", () => {
  const cases: readonly (readonly [EngineCoreFault, EngineError["kind"]])[] = [
    [{ kind: "not-ready" }, "unavailable"],
    [{ kind: "dead", engineIndex: 0, cause: "said-so" }, "unavailable"],
    [{ kind: "closed" }, "unavailable"],
    [{ kind: "bad-frame" }, "unavailable"],
    [{ kind: "call-failed", method: "profile" }, "unavailable"],
    [{ kind: "cannot-bind", address: "tcp://h:1" }, "failed-precondition"],
    [{ kind: "invalid-request", field: "top_p" }, "invalid-argument"],
  ];
  for (const [fault, kind] of cases) {
    const thrown = new EngineCoreError(fault, "a sentence");
    const error = engineErrorOf(thrown);
    assert.deepEqual([error.kind, error.cause], [kind, thrown]);
  }
});

test("a field of the engine's wire is named as the client of the server knows it", () => {
  const fieldOf = (field: string): readonly unknown[] => {
    const error = engineErrorOf(new EngineCoreError({ kind: "invalid-request", field }, `${field}: is wrong`));
    return [error.field, error.message];
  };
  for (const [wire, proto] of [
    ["top_p", "sampling_params.top_p"],
    ["prompt_token_ids", "tokenized.input_ids"],
    ["priority", "priority"],
    ["structured_outputs.grammar", "sampling_params.grammar"],
    ["structured_outputs.json", "sampling_params.json_schema"],
  ] as const) {
    assert.deepEqual(fieldOf(wire), [proto, `${proto}: is wrong`]);
  }
});

test("what is no fault of the client is kept, or is our own", () => {
  const known = new EngineError("unimplemented", "not here");
  assert.equal(engineErrorOf(known), known);
  assert.equal(engineErrorOf(new TypeError("a bug")).kind, "internal");
});
