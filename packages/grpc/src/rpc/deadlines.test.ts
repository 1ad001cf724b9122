import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../testing/manual-clock.ts";
import { Deadlines } from "./deadlines.ts";

/** Deadlines fire together within so many milliseconds. */
const bucketMs = 8;

describe("deadlines", () => {
  it("fire once each, never early and hardly late, but for those that were removed", () => {
    const step = fc.oneof(
      fc.record({ t: fc.constant("add" as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
      fc.record({ t: fc.constant("remove" as const), which: fc.nat() }),
      fc.record({ t: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 500 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const clock = new ManualClock();
        const deadlines = new Deadlines(clock);
        const waiting = new Map<{ expire(): void }, { readonly atMs: number; readonly bucket: number }>();
        for (const one of steps) {
          if (one.t === "add") {
            const atMs = clock.nowMs() + one.ms;
            const item = {
              expire: () => {
                assert.ok(waiting.delete(item), "fires twice, or though it was removed");
                assert.ok(clock.nowMs() >= atMs, "fires early");
              },
            };
            waiting.set(item, { atMs, bucket: deadlines.add(item, atMs) });
          } else if (one.t === "remove") {
            const [item, kept] = [...waiting][one.which % Math.max(1, waiting.size)] ?? [];
            if (item === undefined || kept === undefined) continue;
            deadlines.remove(item, kept.bucket);
            waiting.delete(item);
          } else {
            clock.advance(one.ms);
            for (const { atMs } of waiting.values()) assert.ok(atMs + bucketMs > clock.nowMs(), "fires late");
          }
        }
        deadlines.close();
        assert.equal(clock.timers, 0);
      }),
    );
  });

  it("leave nothing of calls that end before them", () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const late = { expire: () => assert.fail("was removed") };
    for (let n = 0; n < 100_000; n += 1) deadlines.remove(late, deadlines.add(late, 1_000_000 + n * 100));
    assert.ok(deadlines.held < 3_000, `${deadlines.held} are held`);
    deadlines.close();
  });
});
