import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StatusTable } from "@tokenwire/health";
import { settled } from "../operations/testing/manual-clock.ts";
import { createHealthRig, engineService, type HealthRig, readyRig } from "./testing/health-rig.ts";
import { sentenceOf } from "./verdict.ts";

/** Every transition so far as "verdict reason". */
function story(rig: HealthRig): string[] {
  return rig.verdicts.map(({ t, reason }) => `${t} ${reason}`);
}

function statuses(rig: HealthRig): Record<string, string | undefined> {
  return {
    overall: rig.table.get(""),
    readiness: rig.table.get("readiness"),
    engine: rig.table.get(engineService),
    liveness: rig.table.get("liveness"),
  };
}

const all = { overall: "SERVING", readiness: "SERVING", engine: "SERVING", liveness: "SERVING" };
const alive = { overall: "NOT_SERVING", readiness: "NOT_SERVING", engine: "NOT_SERVING", liveness: "SERVING" };
const stalled = { overall: "SERVING", readiness: "NOT_SERVING", engine: "NOT_SERVING", liveness: "SERVING" };
const none = { overall: "NOT_SERVING", readiness: "NOT_SERVING", engine: "NOT_SERVING", liveness: "NOT_SERVING" };

suite("HealthMonitor and the engine's life", () => {
  test("before it starts, every name is registered as a starting engine answers", () => {
    const rig = createHealthRig({ aliases: [{ name: "my.probe", class: "liveness" }] });
    assert.deepEqual(statuses(rig), alive);
    assert.equal(rig.table.get("my.probe"), "SERVING");
  });

  test("an engine that is ready is SERVING only after its health check answered", async () => {
    const rig = createHealthRig();
    rig.engine.behaviour = "hang";
    rig.engine.become({ t: "ready" });
    await settled();
    assert.deepEqual(statuses(rig), alive);
    rig.engine.answer();
    await settled();
    assert.deepEqual(statuses(rig), all);
    assert.equal(rig.engine.checks, 1);
  });

  test("an engine that was ready before is asked at once", async () => {
    const { engine } = createHealthRig();
    engine.become({ t: "ready" });
    const rig = createHealthRig({ engine });
    await settled();
    assert.deepEqual(statuses(rig), all);
  });

  test("death, restart and closing reach every Watch in the same turn", async () => {
    const rig = await readyRig();
    const client = rig.watch("");
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: 500 });
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    assert.deepEqual(statuses(rig), none);
    rig.engine.become({ t: "starting", progress: 0.5 });
    rig.engine.become({ t: "ready" });
    await settled();
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
    rig.engine.become({ t: "closed" });
    assert.equal(client.heard.at(-1), "NOT_SERVING");
    assert.equal(rig.table.get("liveness"), "SERVING");
  });

  test("a death stays until a new engine loads, which is alive and not ready", async () => {
    const rig = await readyRig();
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: 500 });
    await rig.clock.advanceSettling(2000);
    assert.deepEqual([rig.health.verdict.t, rig.health.verdict.reason], ["dead", "engine-dead"]);
    assert.equal(rig.table.get("liveness"), "NOT_SERVING");
    for (let progress = 0; progress < 1; progress += 0.25) {
      rig.engine.become({ t: "starting", progress });
      await rig.clock.advanceSettling(2000);
      assert.deepEqual([rig.health.verdict.t, rig.health.verdict.reason], ["starting", "engine-starting"]);
      assert.deepEqual([rig.table.get("readiness"), rig.table.get("liveness")], ["NOT_SERVING", "SERVING"]);
    }
    rig.engine.become({ t: "ready" });
    await settled();
    assert.equal(rig.health.verdict.t, "ready");
  });

  test("an engine that starts for longer than the start timeout is not alive, and serves when it is ready after all", async () => {
    const rig = createHealthRig({ startTimeoutMs: 10_000 });
    rig.engine.become({ t: "starting", progress: 0 });
    await rig.clock.advanceSettling(9999);
    assert.deepEqual(statuses(rig), alive);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(statuses(rig), none);
    rig.engine.become({ t: "ready" });
    await settled();
    assert.deepEqual(statuses(rig), all);
    assert.deepEqual(story(rig), [
      "starting engine-starting",
      "overdue start-overdue",
      "starting engine-starting",
      "ready ready",
    ]);
  });

  test("each transition is one log line with its reason word", async () => {
    const rig = await readyRig();
    rig.engine.become({ t: "starting", progress: 0.1 });
    rig.engine.become({ t: "starting", progress: 0.2 });
    rig.engine.become({ t: "ready" });
    await rig.clock.advanceSettling(5000);
    rig.engine.behaviour = "fail";
    await rig.clock.advanceSettling(5000);
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: 500 });
    rig.health.withdraw("received SIGTERM");
    rig.health.withdraw("received SIGTERM");
    assert.deepEqual(
      rig.log.map(({ level, reason }) => `${level} ${reason}`),
      [
        "info engine-starting",
        "info ready",
        "info engine-starting",
        "info ready",
        "warn check-failed",
        "warn engine-dead",
        "info shutting-down",
      ],
    );
    assert.equal(rig.log.at(-1)?.sentence, "The server shuts down: received SIGTERM");
  });

  test("Check carries the reason word and the sentence, in ASCII, as trailers", async () => {
    const rig = await readyRig();
    rig.engine.become({ t: "dead", reason: "sh: café\nnot found", restartInMs: 500 });
    assert.equal(await rig.check("readiness"), "NOT_SERVING");
    assert.deepEqual(rig.trailers, {
      "tokenwire-health-reason": "engine-dead",
      "tokenwire-health-detail": "The engine is dead: sh: caf??not found. It restarts in 500 ms.",
    });
  });

  test("a pause is not ready and alive, and ends at once", async () => {
    const rig = await readyRig();
    rig.health.pause("weights are exchanged.");
    assert.deepEqual(statuses(rig), stalled);
    rig.health.pause(undefined);
    assert.deepEqual(statuses(rig), all);
  });

  test("an engine that was told elsewhere to pause says so with its answers", async () => {
    const rig = await readyRig({ intervalMs: 1000 });
    rig.engine.pausedBecause = "the engine sleeps.";
    await rig.clock.advanceSettling(1000);
    assert.deepEqual(statuses(rig), stalled);
    rig.health.pause("weights are exchanged.");
    rig.health.pause(undefined);
    assert.deepEqual(statuses(rig), stalled);
    rig.engine.pausedBecause = undefined;
    await rig.clock.advanceSettling(1000);
    assert.deepEqual(statuses(rig), all);
  });
});

suite("HealthMonitor and the round trip", () => {
  test("a failed check is heard by Watch without anybody asking, and its recovery after two good looks", async () => {
    const rig = await readyRig({ intervalMs: 1000, recoveryCount: 2 });
    const client = rig.watch("");
    rig.engine.behaviour = "fail";
    await rig.clock.advanceSettling(1000);
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    rig.engine.behaviour = "answer";
    await rig.clock.advanceSettling(2000);
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    await rig.clock.advanceSettling(1000);
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
  });

  test("Checks at the same time share one health check", async () => {
    const rig = await readyRig();
    rig.engine.behaviour = "hang";
    rig.engine.checks = 0;
    const answers = Promise.all([rig.check(""), rig.check(engineService), rig.check("")]);
    await settled();
    rig.engine.answer();
    assert.deepEqual(await answers, ["SERVING", "SERVING", "SERVING"]);
    assert.equal(rig.engine.checks, 1);
  });

  test("a Check waits checkWaitMs for the engine and then answers the last verdict", async () => {
    const rig = await readyRig({ intervalMs: 60_000, checkWaitMs: 500 });
    rig.engine.behaviour = "hang";
    let answer: string | undefined;
    rig.check("").then((status) => {
      answer = status;
    });
    await rig.clock.advanceSettling(499);
    assert.equal(answer, undefined);
    await rig.clock.advanceSettling(1);
    assert.equal(answer, "SERVING");
  });

  test("a Check that was answered leaves no timer behind", async () => {
    const rig = await readyRig();
    const timers = rig.clock.pendingTimers;
    await rig.check("");
    assert.equal(rig.clock.pendingTimers, timers);
  });

  test("an idle engine that falls silent is stalled at the floor, hung at the hang timeout, and is asked only once", async () => {
    const rig = await readyRig({ intervalMs: 1000 });
    rig.engine.checks = 0;
    rig.engine.behaviour = "hang";
    // The question of the first look; silence counts from there.
    await rig.clock.advanceSettling(5999);
    assert.deepEqual(statuses(rig), all);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(statuses(rig), stalled);
    await rig.clock.advanceSettling(114_999);
    assert.deepEqual(statuses(rig), stalled);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(statuses(rig), none);
    assert.equal(rig.engine.checks, 1);
    assert.deepEqual(story(rig).slice(2), ["stalled no-answer", "hung hang"]);
  });

  test("one that answers again serves after the recovery count of good looks, and not before", async () => {
    const rig = await readyRig({ intervalMs: 1000, recoveryCount: 3 });
    rig.engine.behaviour = "hang";
    await rig.clock.advanceSettling(200_000);
    rig.engine.behaviour = "answer";
    rig.engine.answer();
    await settled();
    await rig.clock.advanceSettling(2999);
    assert.deepEqual(statuses(rig), none);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(statuses(rig), all);
  });

  test("an engine that never answered its first check starts until the hang timeout and then hangs", async () => {
    const rig = createHealthRig({ hangTimeoutMs: 30_000 });
    rig.engine.behaviour = "hang";
    rig.engine.become({ t: "ready" });
    await rig.clock.advanceSettling(29_999);
    assert.deepEqual(statuses(rig), alive);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(story(rig), ["starting engine-starting", "hung hang"]);
  });

  test("steps count as an answer, and silence counts from the last one", async () => {
    const rig = await readyRig({ intervalMs: 1000 });
    rig.engine.behaviour = "hang";
    rig.ledger.generationTaken("r", 1, 1, 4, rig.clock.nowMs());
    for (let step = 0; step < 100; step += 1) {
      await rig.clock.advanceSettling(4000);
      rig.engine.stepAt(rig.clock.nowMs());
    }
    assert.deepEqual(story(rig), ["starting engine-starting", "ready ready"]);
    // Steps of 4 s: φ reaches 8 after 4 s + 5.6 deviations of at least 1 s.
    await rig.clock.advanceSettling(9000);
    assert.deepEqual(statuses(rig), all);
    await rig.clock.advanceSettling(1000);
    assert.deepEqual(statuses(rig), stalled);
  });

  test("time in which this process itself stood still is not the engine's silence", async () => {
    const rig = await readyRig({ intervalMs: 1000 });
    rig.engine.behaviour = "hang";
    rig.ledger.generationTaken("r", 1, 1, 4, rig.clock.nowMs());
    await rig.clock.advanceSettling(2000);
    await rig.clock.freeze(300_000);
    assert.deepEqual(statuses(rig), all);
    await rig.clock.advanceSettling(10_000);
    assert.equal(rig.health.verdict.reason, "no-answer");
  });

  test("an answer from before a crash says nothing of the engine after it", async () => {
    const rig = await readyRig();
    rig.engine.behaviour = "hang";
    const asked = rig.check("");
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: 0 });
    rig.engine.answer();
    assert.equal(await asked, "NOT_SERVING");
    assert.equal(rig.health.verdict.reason, "engine-dead");
    assert.equal(await rig.check(""), "NOT_SERVING");
  });

  test("a check that fails because the engine died is logged as its death alone", async () => {
    const rig = await readyRig();
    rig.engine.behaviour = "hang";
    const asked = rig.check("");
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: undefined });
    rig.engine.refuse();
    assert.equal(await asked, "NOT_SERVING");
    assert.deepEqual(story(rig), ["starting engine-starting", "ready ready", "dead engine-dead"]);
  });

  test("a check that throws instead of rejecting is a failed check", async () => {
    const rig = await readyRig();
    rig.engine.checkHealth = () => {
      throw new Error("broken engine");
    };
    await rig.check("");
    assert.equal(sentenceOf(rig.health.verdict), "The engine's health check failed: broken engine");
  });
});

suite("HealthMonitor and the system's view of the process", () => {
  test("a stopped process is a stall at the floor with its own reason, whatever its steps took before", async () => {
    let state = "S";
    const rig = await readyRig({ readProcess: (pid) => ({ pid, state, cpuMs: 0 }) });
    rig.engine.processIds = [7];
    rig.engine.behaviour = "hang";
    rig.ledger.generationTaken("r", 1, 1, 4, 0);
    for (let step = 0; step < 5; step += 1) {
      await rig.clock.advanceSettling(20_000);
      rig.engine.stepAt(rig.clock.nowMs());
    }
    state = "T";
    await rig.clock.advanceSettling(5000);
    assert.deepEqual([rig.health.verdict.t, rig.health.verdict.reason], ["stalled", "process-stopped"]);
  });

  test("an engine that burns CPU is hung after twice the hang timeout, and not before", async () => {
    const rig = await readyRig({ readProcess: (pid) => ({ pid, state: "R", cpuMs: 0.9 * rig.clock.nowMs() }) });
    rig.engine.processIds = [7];
    rig.engine.behaviour = "hang";
    await rig.clock.advanceSettling(240_999);
    assert.equal(rig.health.verdict.t, "stalled");
    await rig.clock.advanceSettling(1);
    assert.equal(rig.health.verdict.t, "hung");
  });
});

suite("HealthMonitor and its end", () => {
  test("withdrawing leaves a live engine alive and everything else NOT_SERVING", async () => {
    const rig = await readyRig();
    rig.health.withdraw("received SIGTERM");
    assert.deepEqual(statuses(rig), alive);
  });

  test("withdrawing does not bring a liveness back that has fallen", async () => {
    const rig = await readyRig();
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: undefined });
    rig.health.withdraw("the engine died");
    assert.deepEqual(statuses(rig), none);
  });

  test("withdrawing never throws and logs what failed", async () => {
    const table = new StatusTable();
    const rig = await readyRig({ table });
    table.set = () => {
      throw new Error("broken table");
    };
    rig.health.withdraw("received SIGTERM");
    assert.deepEqual(rig.log.at(-1)?.level, "error");
    assert.equal(rig.log.at(-1)?.reason, "withdraw-failed");
  });

  test("a withdrawn server changes nothing any more", async () => {
    const rig = await readyRig();
    rig.engine.behaviour = "hang";
    const asked = rig.check("");
    rig.health.withdraw("received SIGTERM");
    rig.engine.answer();
    rig.engine.become({ t: "closed" });
    rig.health.pause("because.");
    await rig.clock.advanceSettling(200_000);
    assert.equal(await asked, "NOT_SERVING");
    assert.equal(rig.health.verdict.reason, "shutting-down");
  });

  test("stop ends its timers, its listening and its asking, and leaves the statuses", async () => {
    const rig = await readyRig();
    rig.health.stop();
    rig.health.stop();
    rig.engine.checks = 0;
    assert.equal(rig.clock.pendingTimers, 0);
    assert.equal(rig.engine.listeners, 0);
    assert.equal(await rig.check(""), "SERVING");
    assert.equal(rig.engine.checks, 0);
  });
});
