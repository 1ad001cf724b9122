import assert from "node:assert/strict";
import { test } from "node:test";
import { outputLogprobsOf, PromptLogprobsGathering } from "./logprobs.ts";

const table = {
  rows: 2,
  columns: 3,
  tokenIds: Int32Array.of(7, 7, 9, 4, 5, 4),
  logprobs: Float64Array.of(-0.5, -0.5, -1, -2, -0.25, -2),
};

test("column 0 is the token itself and the others are the best", () => {
  assert.deepEqual(outputLogprobsOf(table, 2), {
    tokenLogprobs: [-0.5, -2],
    top: [
      { tokenIds: [7, 9], values: [-0.5, -1] },
      { tokenIds: [5, 4], values: [-0.25, -2] },
    ],
  });
});

test("a delta that was cut has the logprobs of the tokens that are left", () => {
  assert.deepEqual(outputLogprobsOf(table, 1)?.tokenLogprobs, [-0.5]);
});

test("logprobs 0 are the token's own alone", () => {
  const own = { rows: 1, columns: 1, tokenIds: Int32Array.of(7), logprobs: Float64Array.of(-0.5) };
  assert.deepEqual(outputLogprobsOf(own, 1), { tokenLogprobs: [-0.5], top: [{ tokenIds: [], values: [] }] });
});

test("a table without a row for each token gives none", () => {
  assert.equal(outputLogprobsOf(table, 3), undefined);
  assert.equal(outputLogprobsOf({ ...table, rows: 2, columns: 0 }, 1), undefined);
});

test("a prompt's parts are joined, and its first token has none", () => {
  const gathering = new PromptLogprobsGathering([1, 7, 4, 8]);
  gathering.add(table);
  gathering.add({ rows: 1, columns: 3, tokenIds: Int32Array.of(8, 8, 1), logprobs: Float64Array.of(-3, -3, -4) });
  assert.deepEqual(gathering.result, {
    tokenIds: [1, 7, 4, 8],
    tokenLogprobs: [undefined, -0.5, -2, -3],
    top: [
      { tokenIds: [], values: [] },
      { tokenIds: [7, 9], values: [-0.5, -1] },
      { tokenIds: [5, 4], values: [-0.25, -2] },
      { tokenIds: [8, 1], values: [-3, -4] },
    ],
  });
});

test("rows beyond the prompt are not kept", () => {
  const gathering = new PromptLogprobsGathering([1, 7]);
  gathering.add(table);
  gathering.add(table);
  assert.equal(gathering.result.tokenLogprobs.length, 2);
});
