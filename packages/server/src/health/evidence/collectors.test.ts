import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EngineLoad } from "../../engine/facts.ts";
import type { EngineProgress } from "../../engine/state.ts";
import { CanaryCollector } from "./canary.ts";
import { LifecycleCollector } from "./lifecycle.ts";
import { PrefillCollector } from "./prefill.ts";
import { ProcessCollector } from "./process.ts";
import { ProcessActivityCollector } from "./process-activity.ts";
import { ProgressCollector, type StepContext } from "./progress.ts";
import { parseProcessStat, readProcess } from "./read-process.ts";
import { RoundTripCollector } from "./round-trip.ts";
import { SaturationCollector } from "./saturation.ts";

describe("LifecycleCollector", () => {
  it("counts a start from its beginning, progress in it included", () => {
    const lifecycle = new LifecycleCollector(10);
    lifecycle.engineState({ t: "starting", progress: 0 }, 20);
    lifecycle.engineState({ t: "starting", progress: 0.5 }, 30);
    assert.deepEqual([lifecycle.evidence.engine, lifecycle.evidence.sinceMs], ["starting", 10]);
    lifecycle.engineState({ t: "ready" }, 40);
    assert.deepEqual([lifecycle.evidence.engine, lifecycle.evidence.sinceMs], ["ready", 40]);
    lifecycle.engineState({ t: "dead", reason: "", restartInMs: 1 }, 50);
    lifecycle.engineState({ t: "starting", progress: 0 }, 60);
    assert.deepEqual([lifecycle.evidence.engine, lifecycle.evidence.sinceMs], ["starting", 50]);
    lifecycle.engineState({ t: "closed" }, 70);
    assert.equal(lifecycle.evidence.engine, "stopped");
  });

  it("keeps the first reason for a drain", () => {
    const lifecycle = new LifecycleCollector(0);
    lifecycle.drain("first");
    lifecycle.drain("second");
    assert.equal(lifecycle.evidence.drainingBecause, "first");
  });
});

describe("ProcessCollector", () => {
  it("keeps a death until a new engine starts", () => {
    const process = new ProcessCollector();
    process.engineState({ t: "dead", reason: "exit code 1", restartInMs: 100 });
    assert.deepEqual(process.death, { reason: "exit code 1", restartInMs: 100 });
    process.engineState({ t: "starting", progress: 0 });
    assert.equal(process.death, undefined);
  });
});

describe("RoundTripCollector", () => {
  it("measures from question to answer and keeps what is not typical out of the statistics", () => {
    const roundTrip = new RoundTripCollector();
    roundTrip.asked(100);
    assert.equal(roundTrip.evidence.askedAtMs, 100);
    roundTrip.echoed(107, true);
    roundTrip.asked(1000);
    roundTrip.echoed(9000, false);
    assert.deepEqual(roundTrip.evidence, {
      askedAtMs: undefined,
      echoedAtMs: 9000,
      failure: undefined,
      times: { count: 1, meanMs: 7, deviationMs: 0 },
    });
  });

  it("keeps a failure until the next answer", () => {
    const roundTrip = new RoundTripCollector();
    roundTrip.asked(0);
    roundTrip.failed("broken");
    roundTrip.asked(10);
    assert.equal(roundTrip.evidence.failure, "broken");
    roundTrip.echoed(11, true);
    assert.equal(roundTrip.evidence.failure, undefined);
  });

  it("moves what it knows by the time that passed without us, and never beyond now", () => {
    const roundTrip = new RoundTripCollector();
    roundTrip.asked(0);
    roundTrip.echoed(1, true);
    roundTrip.asked(100);
    roundTrip.forgive(300, 350);
    assert.deepEqual([roundTrip.evidence.echoedAtMs, roundTrip.evidence.askedAtMs], [301, 350]);
  });
});

describe("CanaryCollector", () => {
  it("has one question open until it is answered, failed or replaced", () => {
    const canary = new CanaryCollector();
    assert.equal(canary.lastAtMs, undefined);
    canary.asked(10);
    assert.deepEqual(canary.evidence, { askedAtMs: 10, failure: undefined });
    canary.failed("no memory", 20);
    assert.deepEqual(canary.evidence, { askedAtMs: undefined, failure: "no memory" });
    assert.equal(canary.lastAtMs, 20);
    canary.asked(30);
    canary.answered(40);
    assert.deepEqual(canary.evidence, { askedAtMs: undefined, failure: undefined });
    canary.replaced();
    assert.equal(canary.lastAtMs, undefined);
  });
});

describe("ProgressCollector", () => {
  const context: StepContext = { workBeganAtMs: 0, longestMs: 60_000, wasStopped: false };
  const sample = (steps: number, receivedAtMs: number): EngineProgress => ({
    steps,
    generatedTokens: steps,
    runningRequests: 1,
    waitingRequests: 0,
    receivedAtMs,
  });

  it("moves with the counters and not with the samples", () => {
    const progress = new ProgressCollector();
    assert.equal(progress.observe(undefined, 0, context), false);
    assert.equal(progress.observe(sample(0, 5), 10, context), false);
    assert.equal(progress.observe(sample(1, 15), 20, context), true);
    assert.equal(progress.observe(sample(1, 25), 30, context), false);
    assert.equal(progress.movedAtMs, 15);
  });

  it("learns the time of each step, from the beginning of the work or the step before", () => {
    const progress = new ProgressCollector();
    progress.observe(sample(2, 1040), 1500, { ...context, workBeganAtMs: 1000 });
    assert.deepEqual(progress.stepTimes, { count: 2, meanMs: 20, deviationMs: 0 });
    progress.observe(sample(3, 2000), 2500, { ...context, workBeganAtMs: 1000 });
    assert.equal(progress.stepTimes.count, 3);
    assert.equal(Math.round(progress.stepTimes.meanMs), Math.round((20 + 20 + 960) / 3));
  });

  it("learns nothing from a stopped process, nor without work, nor more than the longest step", () => {
    const progress = new ProgressCollector();
    progress.observe(sample(1, 100), 100, { ...context, wasStopped: true });
    progress.observe(sample(2, 200), 200, { ...context, workBeganAtMs: undefined });
    assert.equal(progress.stepTimes.count, 0);
    progress.observe(sample(3, 500_000), 500_000, context);
    assert.equal(progress.stepTimes.meanMs, 60_000);
  });

  it("follows an engine that was replaced and counts from 0 again", () => {
    const progress = new ProgressCollector();
    progress.observe(sample(500, 100), 100, context);
    progress.replaced(sample(500, 100), 200);
    assert.equal(progress.movedAtMs, undefined);
    assert.equal(progress.observe(sample(2, 300), 300, { ...context, workBeganAtMs: 280 }), true);
    assert.equal(progress.movedAtMs, 300);
  });

  it("believes no sample from before its last look or from the future", () => {
    const progress = new ProgressCollector();
    progress.observe(sample(1, 0), 100, context);
    progress.observe(sample(2, 50), 200, context);
    assert.equal(progress.movedAtMs, 100);
    progress.observe(sample(3, 900), 300, context);
    assert.equal(progress.movedAtMs, 300);
  });
});

describe("PrefillCollector", () => {
  it("assumes a slow machine until a prompt of some length was computed", () => {
    const prefill = new PrefillCollector();
    prefill.computed(63, 1);
    assert.equal(prefill.tokensPerSecond, 50);
    prefill.computed(1000, 2000);
    assert.equal(prefill.tokensPerSecond, 500);
    prefill.computed(1000, 10_000);
    assert.equal(prefill.tokensPerSecond, 0.7 * 500 + 0.3 * 100);
  });
});

describe("SaturationCollector", () => {
  it("adds the waiting requests of all ranks", () => {
    const saturation = new SaturationCollector();
    saturation.observe([{ waitingRequests: 2 }, { waitingRequests: 3 }] as unknown as EngineLoad[]);
    assert.deepEqual(saturation.evidence, { waitingRequests: 5 });
  });
});

describe("ProcessActivityCollector", () => {
  it("sees a stopped and a traced process, and one among several", () => {
    const activity = new ProcessActivityCollector();
    for (const [states, isStopped] of [
      ["S", false],
      ["T", true],
      ["RSt", true],
      ["RD", false],
    ] as const) {
      activity.observe(
        [...states].map((state, pid) => ({ pid, state, cpuMs: 0 })),
        0,
      );
      assert.equal(activity.evidence.isStopped, isStopped, states);
    }
  });

  it("calls half a core burning, over spans that the system's clock can tell", () => {
    const activity = new ProcessActivityCollector();
    const at = (nowMs: number, cpuMs: number, pid = 1): boolean => {
      activity.observe([{ pid, state: "R", cpuMs }], nowMs);
      return activity.evidence.isBurningCpu;
    };
    assert.equal(at(0, 1000), false);
    assert.equal(at(100, 1100), false, "too short to tell");
    assert.equal(at(1000, 1500), true);
    assert.equal(at(2000, 1990), false);
    assert.equal(at(3000, 9000, 2), false, "another process has a past of its own");
    activity.observe([], 4000);
    assert.deepEqual(activity.evidence, { isStopped: false, isBurningCpu: false });
  });
});

describe("readProcess", () => {
  it("reads a program's name with spaces and parentheses for what it is", () => {
    const text = "42 (a) R (b) T 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 11 0 5 0 0\n";
    assert.deepEqual(parseProcessStat(42, text), { pid: 42, state: "T", cpuMs: 3000 });
    assert.equal(parseProcessStat(42, ""), undefined);
  });

  it("reads this process", { skip: process.platform !== "linux" }, () => {
    const sample = readProcess(process.pid);
    assert.match(sample?.state ?? "", /^[RSD]$/);
    assert.ok((sample?.cpuMs ?? 0) > 0);
    assert.equal(readProcess(2 ** 30), undefined);
  });
});
