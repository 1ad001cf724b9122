import assert from "node:assert/strict";
import { test } from "node:test";
import { cannotTokenize, promptIdsOf } from "./prompt-ids.ts";

test("a truncated prompt keeps its last tokens", () => {
  assert.deepEqual(promptIdsOf([1, 2, 3, 4], 2, 10), [3, 4]);
  assert.deepEqual(promptIdsOf([1, 2], 5, 10), [1, 2]);
  assert.deepEqual(promptIdsOf([1, 2], undefined, 10), [1, 2]);
});

test("a prompt without tokens, or without room for one more, is refused with the field", () => {
  const refused = (ids: readonly number[], got: number): void =>
    assert.throws(() => promptIdsOf(ids, undefined, 4), {
      kind: "invalid-argument",
      field: "text",
      message: `text: must be 1 to 3 tokens, got ${got}`,
    });
  refused([], 0);
  refused([1, 2, 3, 4], 4);
  assert.deepEqual(promptIdsOf([1, 2, 3], undefined, 4), [1, 2, 3]);
});

test("a text that cannot be tokenized is the request's fault, with the reason", () => {
  const { kind, field, message } = cannotTokenize(new Error("no such token"));
  assert.deepEqual([kind, field, message], ["invalid-argument", "text", "text: cannot be tokenized: no such token"]);
});
