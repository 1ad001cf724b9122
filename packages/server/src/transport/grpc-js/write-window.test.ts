import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { WriteWindow } from "./write-window.ts";

describe("a write window", () => {
  it("wakes the writer whatever is flushed in whatever pieces, and is closed only while much is unflushed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 200 }), async (sizes) => {
        const window = new WriteWindow();
        const unflushed: number[] = [];
        for (const size of sizes) {
          window.written(size);
          unflushed.push(size);
          const total = unflushed.reduce((sum, bytes) => sum + bytes, 0);
          assert.equal(window.open, unflushed.length < 64 && total < 65_536);
          if (window.open) continue;
          const drained = window.drained();
          for (const bytes of unflushed.splice(0)) window.flushed(bytes);
          await drained;
          assert.equal(window.open, true);
        }
      }),
    );
  });

  it("lets everybody go when it closes, then and later", async () => {
    const window = new WriteWindow();
    window.written(100_000);
    const waiting = window.drained();
    window.close();
    await waiting;
    await window.drained();
    assert.equal(window.open, false);
  });
});
