import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EngineError } from "../engine/errors.ts";
import { canaryIdPrefix } from "./ask-for-token.ts";
import { type HealthRig, readyRig } from "./testing/health-rig.ts";

const canaryIntervalMs = 30_000;

/** A rig that is idle and whose first canary, soon after the start, was answered. */
async function idleRig(): Promise<HealthRig> {
  const rig = await readyRig({ canaryIntervalMs });
  await rig.clock.advanceSettling(1000);
  assert.equal(rig.engine.asked.length, 1);
  rig.engine.giveTokens();
  return rig;
}

function reasonOf(rig: HealthRig): string {
  return rig.health.verdict.reason;
}

suite("the canary", () => {
  test("asks an engine for a token soon after its start, and then once per interval of idleness", async () => {
    const rig = await idleRig();
    await rig.clock.advanceSettling(29_999);
    assert.equal(rig.engine.asked.length, 0);
    await rig.clock.advanceSettling(1);
    assert.equal(rig.engine.asked.length, 1);
    assert.ok(rig.engine.asked[0]?.startsWith(canaryIdPrefix));
  });

  test("does not ask while there is work, nor when it is off, nor a model that makes no tokens", async () => {
    const busy = await idleRig();
    busy.ledger.generationTaken("r", 1, 1, 4, busy.clock.nowMs());
    const off = await readyRig({ canaryIntervalMs: 0 });
    const embeds = await readyRig({ canaryIntervalMs });
    embeds.engine.isGeneration = false;
    for (const rig of [busy, off, embeds]) {
      await rig.clock.advanceSettling(50_000);
      assert.equal(rig.engine.asked.length, 0);
    }
    assert.equal(embeds.log.filter(({ reason }) => reason === "canary-off").length, 1);
  });

  test("counts the idle time from the last output of real work", async () => {
    const rig = await idleRig();
    await rig.clock.advanceSettling(20_000);
    const { ledger, clock } = rig;
    ledger.generationTaken("r", 1, 1, 4, clock.nowMs());
    ledger.moved("r", { promptTokens: 1, cachedTokens: 0 }, true, clock.nowMs());
    await clock.advanceSettling(29_000);
    assert.equal(rig.engine.asked.length, 0);
    await clock.advanceSettling(1000);
    assert.equal(rig.engine.asked.length, 1);
  });

  test("a token that does not come is a stall although the engine answers, and the token ends it", async () => {
    const rig = await idleRig();
    await rig.clock.advanceSettling(30_000);
    await rig.clock.advanceSettling(6000);
    assert.equal(reasonOf(rig), "ready");
    await rig.clock.advanceSettling(1000);
    assert.equal(reasonOf(rig), "canary-unanswered");
    await rig.clock.advanceSettling(300_000);
    assert.equal(reasonOf(rig), "canary-unanswered", "an engine that answers never hangs");
    rig.engine.giveTokens();
    await rig.clock.advanceSettling(2000);
    assert.equal(reasonOf(rig), "ready");
  });

  test("a token that failed is a stall until one comes, for health or for anybody", async () => {
    const rig = await idleRig();
    rig.engine.generation = { failsWith: new EngineError("internal", "no memory") };
    await rig.clock.advanceSettling(31_000);
    assert.equal(reasonOf(rig), "canary-failed");
    rig.ledger.generationTaken("r", 1, 1, 4, rig.clock.nowMs());
    await rig.clock.advanceSettling(1000);
    rig.ledger.moved("r", { promptTokens: 1, cachedTokens: 0 }, true, rig.clock.nowMs());
    await rig.clock.advanceSettling(3000);
    assert.equal(reasonOf(rig), "ready");
  });

  test("an engine that is full, or just gone, is not blamed", async () => {
    for (const kind of ["resource-exhausted", "unavailable"] as const) {
      const rig = await idleRig();
      rig.engine.generation = { throws: new EngineError(kind, "not now") };
      await rig.clock.advanceSettling(100_000);
      assert.equal(reasonOf(rig), "ready");
    }
  });

  test("one that is open when the server withdraws is given up", async () => {
    const rig = await idleRig();
    await rig.clock.advanceSettling(30_000);
    const [id] = rig.engine.asked;
    rig.health.withdraw("received SIGTERM");
    assert.deepEqual(rig.engine.aborted, [id]);
  });
});
