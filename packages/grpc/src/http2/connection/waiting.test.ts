import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Waiting } from "./waiting.ts";

describe("what waits in a stream", () => {
  it("comes out in the order in which it went in, wherever it is cut", () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(
      fc.property(pieces, fc.infiniteStream(fc.integer({ min: 1, max: 60 })), (kept, cuts) => {
        const waiting = new Waiting();
        for (const piece of kept) waiting.keep(piece);
        const whole = Buffer.concat(kept);
        assert.equal(waiting.bytes, whole.length);
        const out = Buffer.alloc(whole.length);
        for (let at = 0; waiting.bytes > 0; ) {
          const length = Math.min(waiting.bytes, cuts.next().value ?? 1);
          waiting.moveInto(out, at, length);
          at += length;
          assert.equal(waiting.bytes, whole.length - at);
        }
        assert.deepEqual(out, whole);
      }),
    );
  });

  it("is forgotten whole, and what comes behind it begins anew", () => {
    const waiting = new Waiting();
    waiting.keep(Buffer.from("abcdef"));
    waiting.moveInto(Buffer.alloc(2), 0, 2);
    waiting.ending = "bare";
    waiting.drop();
    assert.equal(waiting.bytes, 0);
    assert.equal(waiting.ending, undefined);
    waiting.keep(Buffer.from("xy"));
    const out = Buffer.alloc(2);
    waiting.moveInto(out, 0, 2);
    assert.equal(out.toString(), "xy");
  });

  it("counts a turn's bytes until the next turn", () => {
    const waiting = new Waiting();
    waiting.count(3, 10);
    waiting.count(3, 5);
    assert.equal(waiting.writtenIn(3), 15);
    assert.equal(waiting.writtenIn(4), 0);
    waiting.count(4, 7);
    assert.equal(waiting.writtenIn(4), 7);
  });
});
