import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ANY_CODE_POINT,
  codePointSet,
  complement,
  contains,
  difference,
  intersection,
  setKey,
  union,
} from "./code-points.ts";

const someSet = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 8 })), { maxLength: 6 })
  .map((ranges) => codePointSet(ranges.map(([low, length]) => [low, low + length] as const)));

test("union, intersection, difference and complement agree with membership", () => {
  fc.assert(
    fc.property(someSet, someSet, fc.integer({ min: 1, max: 80 }), (left, right, codePoint) => {
      const [inLeft, inRight] = [contains(left, codePoint), contains(right, codePoint)];
      assert.equal(contains(union(left, right), codePoint), inLeft || inRight);
      assert.equal(contains(intersection(left, right), codePoint), inLeft && inRight);
      assert.equal(contains(difference(left, right), codePoint), inLeft && !inRight);
      assert.equal(contains(complement(left), codePoint), !inLeft);
    }),
  );
});

test("equal sets have one form, whatever they were made of", () => {
  fc.assert(
    fc.property(someSet, someSet, (left, right) => {
      assert.equal(setKey(union(left, right)), setKey(union(right, left)));
      assert.equal(setKey(complement(complement(left))), setKey(left));
    }),
  );
});

test("NUL and surrogates are in no set", () => {
  assert.deepEqual(codePointSet([[0, 0x10ffff]]), ANY_CODE_POINT);
  assert.deepEqual(complement([]), ANY_CODE_POINT);
  assert.equal(contains(complement([]), 0xd800), false);
});
