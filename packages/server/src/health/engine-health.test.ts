import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StatusTable } from "@tokenwire/health";
import { settled } from "../operations/testing/manual-clock.ts";
import { createHealthRig, engineService, type HealthRig, type HealthRigOptions } from "./testing/health-rig.ts";

/** A rig whose engine is ready and has answered its first check. */
async function readyRig(options?: HealthRigOptions): Promise<HealthRig> {
  const rig = createHealthRig(options);
  rig.engine.become({ t: "ready" });
  await settled();
  return rig;
}

function reasons(rig: HealthRig): string[] {
  return rig.log.map(({ reason }) => reason);
}

suite("health of a served engine", () => {
  test("Check of the whole server is SERVING when the engine is ready", async () => {
    const rig = await readyRig();
    assert.equal(await rig.check(""), "SERVING");
  });

  test("Check of the engine's service name is SERVING when the engine is ready", async () => {
    const rig = await readyRig();
    assert.equal(await rig.check(engineService), "SERVING");
  });

  test("Check is NOT_SERVING for both names when the engine errored", async () => {
    const died = await readyRig();
    died.engine.become({ t: "dead", reason: "exit code 139", restartInMs: undefined });
    const failing = await readyRig();
    failing.engine.behaviour = "fail";
    for (const rig of [died, failing]) {
      assert.equal(await rig.check(""), "NOT_SERVING");
      assert.equal(await rig.check(engineService), "NOT_SERVING");
    }
    assert.match(died.health.verdict.sentence, /exit code 139/);
    assert.match(failing.health.verdict.sentence, /the loop is broken/);
  });

  test("Check is NOT_SERVING when the server shuts down, whatever the engine says", async () => {
    const rig = await readyRig();
    rig.health.withdraw("SIGTERM was received.");
    rig.engine.become({ t: "ready" });
    assert.equal(await rig.check(""), "NOT_SERVING");
    assert.equal(await rig.check(engineService), "NOT_SERVING");
  });

  test("Check of an unknown service fails NOT_FOUND", async () => {
    const rig = await readyRig();
    await assert.rejects(rig.check("other.Service"), {
      name: "GrpcStatusError",
      code: 5,
      message: "Unknown service: other.Service",
    });
  });

  test("each Check awaits the engine's health check exactly once", async () => {
    const rig = await readyRig();
    rig.engine.checks = 0;
    await rig.check("");
    assert.equal(rig.engine.checks, 1);
    await rig.check(engineService);
    assert.equal(rig.engine.checks, 2);
  });

  test("Watch yields SERVING", async () => {
    const rig = await readyRig();
    assert.deepEqual(rig.watch(engineService).heard, ["SERVING"]);
  });

  test("Watch yields NOT_SERVING while the engine starts", () => {
    const rig = createHealthRig();
    assert.deepEqual(rig.watch("").heard, ["NOT_SERVING"]);
    assert.deepEqual(rig.watch(engineService).heard, ["NOT_SERVING"]);
  });

  test("Watch of an unknown service yields SERVICE_UNKNOWN and stays open", async () => {
    const rig = await readyRig();
    const client = rig.watch("other.Service");
    await rig.clock.advanceSettling(60_000);
    assert.deepEqual(client.heard, ["SERVICE_UNKNOWN"]);
    assert.ok(client.isOpen);
    client.hangUp();
    await settled();
    assert.ok(!client.isOpen);
    assert.equal(rig.table.watcherCount, 0);
  });

  test("Watch hears NOT_SERVING on shutdown and stays open until the server ends it", async () => {
    const rig = await readyRig();
    const client = rig.watch(engineService);
    rig.health.withdraw("SIGTERM was received.");
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    await settled();
    assert.ok(client.isOpen);
  });
});

suite("EngineHealth", () => {
  test("an engine that is ready is SERVING only after its health check answered", async () => {
    const rig = createHealthRig();
    rig.engine.behaviour = "hang";
    rig.engine.become({ t: "ready" });
    await settled();
    assert.equal(rig.table.get(""), "NOT_SERVING");
    rig.engine.answer();
    await settled();
    assert.equal(rig.table.get(""), "SERVING");
    assert.equal(rig.engine.checks, 1);
  });

  test("an engine that was ready before is asked at once", async () => {
    const { engine } = createHealthRig();
    engine.become({ t: "ready" });
    const rig = createHealthRig({ engine });
    await settled();
    assert.equal(rig.table.get(engineService), "SERVING");
  });

  test("death, restart and closing reach every Watch in the same turn", async () => {
    const rig = await readyRig();
    const client = rig.watch("");
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: 500 });
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    rig.engine.become({ t: "starting", progress: 0.5 });
    rig.engine.become({ t: "ready" });
    await settled();
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
    rig.engine.become({ t: "closed" });
    assert.equal(client.heard.at(-1), "NOT_SERVING");
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
    rig.health.withdraw("SIGTERM was received.");
    rig.health.withdraw("SIGTERM was received.");
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
    assert.equal(rig.log.at(-1)?.sentence, "SIGTERM was received.");
  });

  test("a health check that fails is heard by Watch without anybody asking, and so is its recovery", async () => {
    const rig = await readyRig({ intervalMs: 1000 });
    const client = rig.watch("");
    rig.engine.behaviour = "fail";
    await rig.clock.advanceSettling(1000);
    rig.engine.behaviour = "answer";
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

  test("an engine that hangs is NOT_SERVING after silenceMs, and SERVING again when it answers", async () => {
    const rig = await readyRig({ intervalMs: 1000, silenceMs: 30_000 });
    const client = rig.watch(engineService);
    rig.engine.behaviour = "hang";
    await rig.clock.advanceSettling(30_999);
    assert.deepEqual(client.heard, ["SERVING"]);
    await rig.clock.advanceSettling(1);
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    await rig.clock.advanceSettling(100_000);
    rig.engine.behaviour = "answer";
    rig.engine.answer();
    await settled();
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
    assert.deepEqual(reasons(rig), ["engine-starting", "ready", "no-answer", "ready"]);
    assert.equal(rig.engine.checks, 2);
  });

  test("an engine that never answered its first check is reported as no-answer", async () => {
    const rig = createHealthRig({ silenceMs: 30_000 });
    rig.engine.behaviour = "hang";
    rig.engine.become({ t: "ready" });
    await rig.clock.advanceSettling(31_000);
    assert.deepEqual(reasons(rig), ["engine-starting", "no-answer"]);
  });

  test("progress counts as an answer, until silenceMs after the last sample", async () => {
    const rig = await readyRig({ intervalMs: 1000, silenceMs: 30_000 });
    rig.engine.behaviour = "hang";
    for (let minute = 0; minute < 10; minute += 1) {
      await rig.clock.advanceSettling(20_000);
      rig.engine.sampleAt(rig.clock.nowMs());
    }
    assert.equal(rig.table.get(""), "SERVING");
    await rig.clock.advanceSettling(29_000);
    assert.equal(rig.table.get(""), "SERVING");
    await rig.clock.advanceSettling(1000);
    assert.equal(rig.table.get(""), "NOT_SERVING");
  });

  test("a sample from before the question is no answer to it", async () => {
    const rig = await readyRig({ intervalMs: 1000, silenceMs: 30_000 });
    rig.engine.sampleAt(0);
    rig.engine.behaviour = "hang";
    await rig.clock.advanceSettling(31_000);
    assert.equal(rig.health.verdict.reason, "no-answer");
  });

  test("time in which this process itself stood still is not the engine's silence", async () => {
    const rig = await readyRig({ intervalMs: 1000, silenceMs: 30_000 });
    rig.engine.behaviour = "hang";
    await rig.clock.advanceSettling(2000);
    await rig.clock.freeze(300_000);
    assert.equal(rig.table.get(""), "SERVING");
    await rig.clock.advanceSettling(30_000);
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
    const again = rig.check("");
    assert.equal(await again, "NOT_SERVING");
  });

  test("a check that fails because the engine died is logged as its death alone", async () => {
    const rig = await readyRig();
    rig.engine.behaviour = "hang";
    const asked = rig.check("");
    rig.engine.become({ t: "dead", reason: "exit code 1", restartInMs: undefined });
    rig.engine.refuse();
    assert.equal(await asked, "NOT_SERVING");
    assert.deepEqual(reasons(rig), ["engine-starting", "ready", "engine-dead"]);
  });

  test("withdrawing never throws and logs what failed", async () => {
    const table = new StatusTable();
    const rig = await readyRig({ table });
    table.shutdown = () => {
      throw new Error("broken table");
    };
    rig.health.withdraw("SIGTERM was received.");
    assert.deepEqual(rig.log.at(-1)?.level, "error");
    assert.equal(rig.log.at(-1)?.reason, "withdraw-failed");
  });

  test("a withdrawn server changes nothing any more, so the table ignores nothing", async () => {
    const ignored: unknown[] = [];
    const rig = await readyRig({ table: new StatusTable({ onIgnored: (change) => ignored.push(change) }) });
    rig.engine.behaviour = "hang";
    const asked = rig.check("");
    rig.health.withdraw("SIGTERM was received.");
    rig.engine.answer();
    rig.engine.become({ t: "closed" });
    assert.equal(await asked, "NOT_SERVING");
    assert.deepEqual(ignored, []);
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

  test("times that a timer cannot take are refused by name", () => {
    assert.throws(() => createHealthRig({ intervalMs: 0 }), /intervalMs: 0/);
    assert.throws(() => createHealthRig({ silenceMs: Number.NaN }), /silenceMs: NaN/);
    assert.throws(() => createHealthRig({ checkWaitMs: 2 ** 31 }), /checkWaitMs: 2147483648/);
  });
});
