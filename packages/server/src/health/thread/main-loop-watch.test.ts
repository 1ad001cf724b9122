import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MainLoopWatch } from "./main-loop-watch.ts";

const tickMs = 100;

/** An observer that ticks on time; `beats` are how many the watched loop makes in each tick. */
function rig(): {
  readonly watch: MainLoopWatch;
  readonly tick: (beats: number, ticks?: number, ms?: number) => string;
} {
  const watch = new MainLoopWatch({ stallMs: 1_000, hangTimeoutMs: 5_000, tickMs });
  let counter = 0;
  let nowMs = 0;
  watch.observe(counter, nowMs);
  const tick = (beats: number, ticks = 1, ms = tickMs): string => {
    for (let n = 0; n < ticks; n += 1) {
      counter = (counter + beats) | 0;
      nowMs += ms;
      watch.observe(counter, nowMs);
    }
    return watch.state.t;
  };
  return { watch, tick };
}

describe("the watch over the main loop", () => {
  it("finds a stall after the stall time and a hang after the hang timeout", () => {
    const { tick } = rig();
    assert.equal(tick(0, 9), "turning");
    assert.equal(tick(0), "stalled");
    assert.equal(tick(0, 39), "stalled");
    assert.equal(tick(0), "hung");
    assert.equal(tick(0, 100), "hung");
  });

  it("is well again after three beats, and not after a gasp between two blocks", () => {
    const { tick } = rig();
    assert.equal(tick(0, 10), "stalled");
    assert.equal(tick(1, 2), "stalled");
    assert.equal(tick(0, 10), "stalled");
    assert.equal(tick(1, 2), "stalled");
    assert.equal(tick(1), "turning");
    assert.equal(tick(0, 50), "hung");
    assert.equal(tick(1, 3), "turning");
  });

  it("never doubts a loop that beats within the stall time", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 8 })), (silences) => {
        const { tick } = rig();
        for (const silence of silences) {
          tick(0, silence);
          assert.equal(tick(1), "turning");
        }
      }),
    );
  });

  it("blames nobody for the time in which it slept itself", () => {
    const { tick } = rig();
    assert.equal(tick(0, 1, 3_600_000), "turning");
    assert.equal(tick(1), "turning");
  });

  it("counts on when the counter wraps", () => {
    const watch = new MainLoopWatch({ stallMs: 1_000, hangTimeoutMs: 5_000, tickMs });
    watch.observe(2 ** 31 - 1, 0);
    assert.equal(watch.observe(-(2 ** 31), 100).t, "turning");
  });

  it("keeps its state the same object until it changes", () => {
    const { watch, tick } = rig();
    tick(0, 10);
    const { state } = watch;
    tick(0);
    assert.equal(watch.state, state);
    assert.deepEqual(state, { t: "stalled", silentMs: 1_000 });
  });
});
