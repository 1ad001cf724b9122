import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { settled } from "../operations/testing/manual-clock.ts";
import { createHealthRig, engineService, readyRig } from "./testing/health-rig.ts";
import { sentenceOf } from "./verdict.ts";

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
    assert.match(sentenceOf(died.health.verdict), /exit code 139/);
    assert.match(sentenceOf(failing.health.verdict), /the loop is broken/);
  });

  test("Check is NOT_SERVING when the server shuts down, whatever the engine says", async () => {
    const rig = await readyRig();
    rig.health.withdraw("received SIGTERM");
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
    rig.health.withdraw("received SIGTERM");
    assert.deepEqual(client.heard, ["SERVING", "NOT_SERVING"]);
    await settled();
    assert.ok(client.isOpen);
  });
});
