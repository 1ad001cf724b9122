import assert from "node:assert/strict";
import { it } from "node:test";
import { RestartPause } from "./restart-pause.ts";

it("pauses double to ten seconds, and are short again after a minute of life", () => {
  const pause = new RestartPause();
  let nowMs = 0;
  const pauses: number[] = [];
  for (let death = 0; death < 9; death += 1) {
    const ms = pause.next(nowMs);
    pauses.push(ms);
    nowMs += ms + 50;
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  assert.equal(pause.next(nowMs + 60_000), 100);
});
