import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { phi, TimeWindow } from "./accrual-detector.ts";

describe("phi", () => {
  // Upper tails of the normal distribution, from its tables: P(Z > z).
  const tails = [
    { z: 0, probability: 0.5 },
    { z: 1, probability: 0.15865525393145707 },
    { z: 1.2815515655446004, probability: 0.1 },
    { z: 2.3263478740408408, probability: 0.01 },
    { z: 2.9999, probability: 0.0013503411 },
    { z: 3.090232306167813, probability: 1e-3 },
    { z: 5.612001244174789, probability: 1e-8 },
    { z: 6.361340902404056, probability: 1e-10 },
    { z: -1, probability: 0.8413447460685429 },
    { z: -3, probability: 0.9986501019683699 },
  ];
  for (const { z, probability } of tails) {
    it(`is ${-Math.log10(probability)} at ${z} deviations from the mean`, () => {
      const level = phi(100 + 20 * z, { meanMs: 100, deviationMs: 20 });
      assert.ok(Math.abs(level + Math.log10(probability)) < 1e-6, String(level));
    });
  }

  it("is a number where the probability itself would be none: 40 deviations are 349.4", () => {
    assert.ok(Math.abs(phi(40, { meanMs: 0, deviationMs: 1 }) - 349.437) < 1e-3);
    assert.ok(Number.isFinite(phi(1e9, { meanMs: 0, deviationMs: 1 })));
    assert.equal(phi(-1e9, { meanMs: 0, deviationMs: 1 }), -0);
  });

  it("never falls while time passes", () => {
    const times = fc.double({ min: -100, max: 100, noNaN: true });
    fc.assert(
      fc.property(times, times, (a, b) => {
        const at = (z: number) => phi(z, { meanMs: 0, deviationMs: 1 });
        assert.ok(at(Math.min(a, b)) <= at(Math.max(a, b)) + 1e-9);
      }),
    );
  });
});

describe("TimeWindow", () => {
  it("knows mean and deviation of what it holds", () => {
    const window = new TimeWindow(10);
    assert.deepEqual(window.distribution, { count: 0, meanMs: 0, deviationMs: 0 });
    for (const time of [2, 4, 4, 4, 5, 5, 7, 9]) window.add(time);
    assert.deepEqual(window.distribution, { count: 8, meanMs: 5, deviationMs: 2 });
  });

  it("forgets the oldest times", () => {
    const window = new TimeWindow(3);
    for (const time of [1000, 1, 2, 3]) window.add(time);
    assert.equal(window.distribution.meanMs, 2);
    window.add(7, 50);
    assert.deepEqual(window.distribution, { count: 3, meanMs: 7, deviationMs: 0 });
  });
});
