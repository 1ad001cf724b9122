import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RegisteredStatus } from "@tokenwire/health";
import type { BoardState } from "./board-state.ts";
import type { MainLoopState } from "./main-loop-watch.ts";
import { type HealthClass, MirroredHealth } from "./mirrored-health.ts";

const stalled: MainLoopState = { t: "stalled", silentMs: 1_000.4 };
const hung: MainLoopState = { t: "hung", silentMs: 120_000 };

function rig(): MirroredHealth {
  const classes = new Map<string, HealthClass>([
    ["", "overall"],
    ["liveness", "liveness"],
    ["readiness", "readiness"],
  ]);
  return new MirroredHealth({ classes });
}

function board(statuses: Record<string, RegisteredStatus>, isShutDown = false): BoardState {
  const entries = Object.entries(statuses).map(([service, status]) => ({
    service,
    status,
    annotation: { "tokenwire-health-reason": `reason of ${service}` },
  }));
  return { isShutDown, entries };
}

const all = { "": "SERVING", liveness: "SERVING", readiness: "SERVING", other: "SERVING" } as const;

describe("mirrored health", () => {
  for (const [mainLoop, expected] of [
    [{ t: "turning" }, all],
    [stalled, { ...all, readiness: "NOT_SERVING", other: "NOT_SERVING" }],
    [hung, { "": "NOT_SERVING", liveness: "NOT_SERVING", readiness: "NOT_SERVING", other: "NOT_SERVING" }],
  ] as const) {
    it(`of a main loop that is ${mainLoop.t} follows the class of each name`, () => {
      const health = rig();
      health.mirror(board(all));
      health.judge(mainLoop);
      assert.deepEqual(Object.fromEntries(health.table.list()), expected);
      health.judge({ t: "turning" });
      assert.deepEqual(Object.fromEntries(health.table.list()), all);
    });
  }

  it("never makes a name SERVING that the board does not", () => {
    const health = rig();
    const none = { "": "NOT_SERVING", liveness: "NOT_SERVING", readiness: "NOT_SERVING" } as const;
    health.mirror(board(none));
    for (const mainLoop of [stalled, hung, { t: "turning" }] as const) {
      health.judge(mainLoop);
      assert.deepEqual(Object.fromEntries(health.table.list()), none);
    }
  });

  it("gives the board's reason, but for names that only the main loop takes down", () => {
    const health = rig();
    health.mirror(board({ ...all, other: "NOT_SERVING" }));
    health.judge(stalled);
    assert.deepEqual(health.annotate("readiness"), {
      "tokenwire-health-reason": "main-loop-stalled",
      "tokenwire-health-detail": "The server's main loop stands still, at least for 1000 ms.",
    });
    assert.deepEqual(health.annotate("liveness"), { "tokenwire-health-reason": "reason of liveness" });
    assert.deepEqual(health.annotate("other"), { "tokenwire-health-reason": "reason of other" });
    assert.equal(health.annotate("nobody"), undefined);
    health.judge(hung);
    assert.equal(health.annotate("liveness")?.["tokenwire-health-reason"], "main-loop-hung");
  });

  it("drops names that left the board, and latches with it", () => {
    const health = rig();
    health.mirror(board(all));
    health.mirror(board({ "": "SERVING" }));
    assert.deepEqual([...health.table.list().keys()], [""]);
    health.mirror(board({ "": "NOT_SERVING", readiness: "NOT_SERVING" }, true));
    assert.deepEqual([health.table.isShutDown, health.table.get("readiness")], [true, "NOT_SERVING"]);
    health.mirror(board({ "": "SERVING" }));
    assert.deepEqual([health.table.isShutDown, health.table.get("")], [false, "SERVING"]);
  });
});
