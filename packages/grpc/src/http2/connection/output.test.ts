import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { chunkBytes, Output } from "./output.ts";

describe("the output", () => {
  it("hands over every byte once and in order, however writing, taking and releasing mix", () => {
    const step = fc.oneof(
      fc.record({
        t: fc.constant("write" as const),
        bytes: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: chunkBytes })),
      }),
      fc.record({ t: fc.constantFrom("take" as const, "release" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const output = new Output();
        const lent: Buffer[] = [];
        let written = 0;
        let read = 0;
        const check = () => {
          for (const piece of lent.splice(0)) {
            for (const byte of piece) {
              assert.equal(byte, read & 255);
              read += 1;
            }
          }
        };
        for (const step of steps) {
          if (step.t === "write") {
            output.reserve(step.bytes);
            for (let i = 0; i < step.bytes; i += 1) {
              output.chunk[output.at] = written & 255;
              output.at += 1;
              written += 1;
            }
          } else if (step.t === "take") lent.push(...output.take());
          else {
            check();
            output.release();
          }
        }
        lent.push(...output.take());
        check();
        assert.equal(read, written);
        assert.equal(output.unsentBytes, 0);
      }),
      { numRuns: 100 },
    );
  });
});
