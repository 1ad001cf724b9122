import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { NumberHeap } from "./number-heap.ts";

describe("a heap of numbers", () => {
  it("gives the least first, whatever is added, taken and replaced between", () => {
    const step = fc.oneof(
      fc.record({ t: fc.constant("add" as const), number: fc.integer() }),
      fc.record({ t: fc.constant("take" as const) }),
      fc.record({ t: fc.constant("replace" as const), numbers: fc.array(fc.integer(), { maxLength: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const heap = new NumberHeap();
        let model: number[] = [];
        for (const one of steps) {
          if (one.t === "add") {
            heap.add(one.number);
            model.push(one.number);
          } else if (one.t === "take") {
            assert.equal(heap.take(), model.shift());
          } else {
            heap.replace(one.numbers);
            model = [...one.numbers];
          }
          model.sort((a, b) => a - b);
          assert.deepEqual([heap.size, heap.least], [model.length, model[0]]);
        }
      }),
    );
  });
});
