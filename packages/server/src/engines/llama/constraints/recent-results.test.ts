import assert from "node:assert/strict";
import { test } from "node:test";
import { RecentResults } from "./recent-results.ts";

test("a kept result is not made again, and the one used longest ago is dropped at the bound", () => {
  const results = new RecentResults(12);
  const made: string[] = [];
  const get = (key: string): string =>
    results.get(key, () => {
      made.push(key);
      return `${key}${key}${key}`;
    });
  get("a");
  get("b");
  get("c");
  assert.equal(get("a"), "aaa");
  assert.deepEqual(made, ["a", "b", "c"]);
  get("d");
  get("a");
  get("b");
  assert.deepEqual(made, ["a", "b", "c", "d", "b"]);
});

test("a result above the bound and a failure are not kept", () => {
  const results = new RecentResults(4);
  let calls = 0;
  for (let index = 0; index < 2; index++) results.get("long", () => `${++calls}`.repeat(9));
  assert.equal(calls, 2);
  const fail = (): string => {
    calls++;
    throw new Error("no");
  };
  assert.throws(() => results.get("x", fail));
  assert.throws(() => results.get("x", fail));
  assert.equal(calls, 4);
});
