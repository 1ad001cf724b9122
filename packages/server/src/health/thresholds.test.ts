import assert from "node:assert/strict";
import { test } from "node:test";
import { type HealthThresholds, healthThresholds } from "./thresholds.ts";

test("the ceiling is half the hang timeout, and never below the floor", () => {
  assert.equal(healthThresholds().stallCeilingMs, 60_000);
  assert.equal(healthThresholds({ stallFloorMs: 90_000 }).stallCeilingMs, 90_000);
});

test("values out of range and times in the wrong order are refused by name", () => {
  const refused: readonly [Partial<HealthThresholds>, RegExp][] = [
    [{ intervalMs: 0 }, /intervalMs: 0, expected 1 to/],
    [{ hangTimeoutMs: Number.NaN }, /hangTimeoutMs: NaN/],
    [{ startTimeoutMs: 2 ** 31 }, /startTimeoutMs: 2147483648/],
    [{ canaryIntervalMs: -1 }, /canaryIntervalMs: -1/],
    [{ recoveryCount: 0 }, /recoveryCount: 0/],
    [{ readyMaxWaiting: -1 }, /readyMaxWaiting: -1/],
    [{ stallFloorMs: 120_000 }, /stallFloorMs: 120000, expected less than hangTimeoutMs/],
    [{ stallCeilingMs: 4999 }, /stallCeilingMs: 4999, expected 5000 to 120000/],
    [{ stallCeilingMs: 120_001 }, /stallCeilingMs: 120001/],
  ];
  for (const [given, message] of refused) assert.throws(() => healthThresholds(given), { name: "RangeError", message });
});
