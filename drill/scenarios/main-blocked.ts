import { setTimeout as sleep } from "node:timers/promises";
import { type DrillRow, Expectations } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";
import { Poller } from "../timeline.ts";

/** The server's own main thread stands still: the health port answers throughout and says so. */
export async function mainBlocked(settings: DrillSettings, blockMs: number): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  const readiness = new Poller(stage.server.healthTarget, "readiness", 50);
  const liveness = new Poller(stage.server.healthTarget, "liveness", 50);
  try {
    await stage.settle();
    const expect = new Expectations();
    const faultAtMs = performance.now();
    stage.server.blockMainThread(blockMs);
    await sleep(blockMs);
    const overAtMs = performance.now();
    const during = [...readiness.answers, ...liveness.answers].filter(
      ({ askedAtMs, tookMs }) => askedAtMs >= faultAtMs && askedAtMs + tookMs <= overAtMs,
    );
    const slowestMs = Math.max(0, ...during.map(({ tookMs }) => tookMs));
    // The drill's own process shares the machine, so a late answer may be ours.
    const limitMs = 100 + (settings.slackMs > 1_000 ? settings.slackMs : 0);
    expect.within("the slowest answer of the health port", slowestMs, limitMs);
    expect.holds(during.length > blockMs / 200, `only ${during.length} answers came during the block`);
    expect.holds(
      during.every(({ status }) => status !== undefined),
      "the health port did not answer a call",
    );
    const off = readiness.answers.find((answer) => answer.askedAtMs >= faultAtMs && answer.status === "NOT_SERVING");
    expect.holds(off !== undefined, "the health port did not say that the main thread stands still");
    const livenessOff = liveness.answers.find((answer) => answer.askedAtMs >= faultAtMs && answer.status !== "SERVING");
    expect.holds(livenessOff === undefined, "liveness went off although the block was short of the hang timeout");
    await sleep(10 * settings.intervalMs + settings.slackMs);
    const back = readiness.answers.find((answer) => answer.askedAtMs >= overAtMs && answer.status === "SERVING");
    expect.holds(back !== undefined, "readiness did not come back on the health port");
    expect.holds(await stage.serves(settings.slackMs), "the main port did not serve again");
    return {
      fault: `main thread blocked for ${blockMs / 1000} s (seen on the health port; slowest answer ${Math.round(slowestMs)} ms)`,
      readinessOffMs: off === undefined ? undefined : off.askedAtMs + off.tookMs - faultAtMs,
      livenessOffMs: undefined,
      recoveredMs: back === undefined ? undefined : back.askedAtMs + back.tookMs - overAtMs,
      reason: off?.reason,
      falseAlarms: 0,
      broken: expect.broken,
    };
  } finally {
    readiness.close();
    liveness.close();
    await stage.close();
  }
}
