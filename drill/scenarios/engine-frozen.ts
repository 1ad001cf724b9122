import { setTimeout as sleep } from "node:timers/promises";
import { type DrillRow, Expectations, rowOf } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

/** SIGSTOP with streams in flight, SIGCONT before the hang timeout: readiness goes and comes, streams end whole. */
export async function frozenWhileBusy(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  try {
    const streams = await stage.load.startMany(4, { maxTokens: 1_500 });
    const expect = new Expectations();
    const faultAtMs = performance.now();
    stage.server.signalEngine("SIGSTOP");
    const limitMs = settings.stallFloorMs + 2 * settings.intervalMs + settings.slackMs;
    await stage.readiness.reads("NOT_SERVING", limitMs);
    expect.within("readiness NOT_SERVING", stage.readiness.delay("NOT_SERVING", faultAtMs), limitMs);
    const overAtMs = performance.now();
    stage.server.signalEngine("SIGCONT");
    expect.holds(
      await stage.serves(10 * settings.intervalMs + settings.slackMs),
      "it did not serve again after SIGCONT",
    );
    const ends = await Promise.all(streams.map((stream) => stream.end));
    expect.holds(
      ends.every(({ status, tokens }) => status === "OK" && tokens === 1_500),
      "a stream did not finish whole",
    );
    expect.never("liveness", stage.liveness, faultAtMs);
    return rowOf("engine SIGSTOP, 4 streams in flight, then SIGCONT", stage, { faultAtMs, overAtMs }, expect);
  } finally {
    await stage.close();
  }
}

/** SIGSTOP while idle, and no SIGCONT until liveness has gone. */
export async function frozenWhileIdle(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  try {
    await stage.settle();
    const expect = new Expectations();
    const faultAtMs = performance.now();
    stage.server.signalEngine("SIGSTOP");
    const readinessMs = settings.stallFloorMs + 2 * settings.intervalMs + settings.canaryIntervalMs + settings.slackMs;
    await stage.readiness.reads("NOT_SERVING", readinessMs);
    expect.within("readiness NOT_SERVING", stage.readiness.delay("NOT_SERVING", faultAtMs), readinessMs);
    // Silence counts from the last sign of life, which is up to a round trip before the fault.
    const livenessMs = settings.hangTimeoutMs + 2 * settings.intervalMs + settings.slackMs;
    await stage.liveness.reads("NOT_SERVING", livenessMs);
    const livenessOffMs = stage.liveness.delay("NOT_SERVING", faultAtMs);
    expect.within("liveness NOT_SERVING", livenessOffMs, livenessMs);
    const earliestMs = settings.hangTimeoutMs - 2 * settings.intervalMs - settings.slackMs;
    expect.holds(
      livenessOffMs === undefined || livenessOffMs >= earliestMs,
      `liveness went NOT_SERVING after ${livenessOffMs} ms, before the hang timeout`,
    );
    await sleep(settings.intervalMs);
    const overAtMs = performance.now();
    stage.server.signalEngine("SIGCONT");
    expect.holds(
      await stage.serves(10 * settings.intervalMs + settings.slackMs),
      "it did not serve again after SIGCONT",
    );
    return rowOf("engine SIGSTOP while idle, beyond the hang timeout", stage, { faultAtMs, overAtMs }, expect);
  } finally {
    await stage.close();
  }
}

/** One step that burns CPU for long, as a JIT compile does: not ready meanwhile, and never restarted. */
export async function longStep(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  try {
    const streams = await stage.load.startMany(4, { maxTokens: 1_500 });
    const expect = new Expectations();
    const faultAtMs = performance.now();
    const overAtMs = faultAtMs + settings.longStepMs;
    stage.server.burnEngine(settings.longStepMs);
    const readinessMs = settings.stallFloorMs + 2 * settings.intervalMs + settings.slackMs;
    await stage.readiness.reads("NOT_SERVING", settings.longStepMs);
    expect.within("readiness NOT_SERVING", stage.readiness.delay("NOT_SERVING", faultAtMs), readinessMs);
    const ends = await Promise.all(streams.map((stream) => stream.end));
    expect.holds(
      ends.every(({ status, tokens }) => status === "OK" && tokens === 1_500),
      "a stream did not finish whole",
    );
    const backMs = settings.longStepMs + 10 * settings.intervalMs + settings.slackMs;
    expect.holds(await stage.readiness.reads("SERVING", backMs), "readiness did not come back by itself");
    expect.never("liveness", stage.liveness, faultAtMs);
    expect.never("overall", stage.overall, faultAtMs);
    const seconds = settings.longStepMs / 1000;
    return rowOf(`one step of ${seconds} s that burns CPU`, stage, { faultAtMs, overAtMs }, expect);
  } finally {
    await stage.close();
  }
}
