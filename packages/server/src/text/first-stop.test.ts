import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { firstStop } from "./first-stop.ts";

test("the stop string that begins first is found, whatever the order in which they are given", () => {
  assert.deepEqual(firstStop("abcdef", ["ef", "cd"]), { stop: "cd", at: 2 });
  assert.deepEqual(firstStop("abcdef", ["cd", "ef"]), { stop: "cd", at: 2 });
  assert.equal(firstStop("abcdef", ["x", "efg"]), undefined);
  assert.equal(firstStop("abcdef", []), undefined);
});

test("of two stop strings that begin together the one given first is found", () => {
  assert.deepEqual(firstStop("abc", ["ab", "abc"]), { stop: "ab", at: 0 });
  assert.deepEqual(firstStop("abc", ["abc", "ab"]), { stop: "abc", at: 0 });
});

test("what is found stands in the text where it is said to, and nothing stands before it", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 3 }));
  fc.assert(
    fc.property(letters, stops, (text, given) => {
      const found = firstStop(text, given);
      const before = found === undefined ? text : text.slice(0, found.at + found.stop.length);
      if (found !== undefined) assert.ok(text.startsWith(found.stop, found.at));
      for (const stop of given) {
        const at = before.indexOf(stop);
        assert.ok(at < 0 || (found !== undefined && at >= found.at), `${stop} begins at ${at}`);
      }
    }),
  );
});
