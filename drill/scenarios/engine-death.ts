import { type DrillRow, Expectations, rowOf } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

/** SIGKILL: the kernel takes the engine away. */
export function engineKilled(settings: DrillSettings): Promise<DrillRow> {
  return engineDies("engine SIGKILL", settings, (stage) => stage.server.signalEngine("SIGKILL"));
}

/** abort(): llama.cpp's own way out of an assertion. */
export function engineAborts(settings: DrillSettings): Promise<DrillRow> {
  return engineDies("engine abort()", settings, (stage) => stage.server.abortEngine());
}

async function engineDies(fault: string, settings: DrillSettings, die: (stage: DrillStage) => void): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  try {
    const streams = await stage.load.startMany(4, { maxTokens: 1_900 });
    const expect = new Expectations();
    const faultAtMs = performance.now();
    die(stage);
    await stage.readiness.reads("NOT_SERVING", settings.pushMs + settings.slackMs);
    expect.holds(await stage.serves(30_000), "the engine did not come back by itself");
    const ends = await Promise.all(streams.map((stream) => stream.end));
    expect.holds(
      ends.every(({ status, tokens }) => status === "UNAVAILABLE" || tokens === 1_900),
      `streams ended ${ends.map(({ status }) => status).join(", ")} and not UNAVAILABLE`,
    );
    // An abort writes a core first on some systems; from the order on it is dead for the server only at the exit.
    const limitMs = settings.pushMs + (fault === "engine abort()" ? settings.slackMs : 0);
    expect.within("readiness NOT_SERVING", stage.readiness.delay("NOT_SERVING", faultAtMs), limitMs);
    expect.within("overall NOT_SERVING", stage.overall.delay("NOT_SERVING", faultAtMs), limitMs);
    const again = await stage.load.start({ maxTokens: 8 }).end;
    expect.holds(again.status === "OK" && again.tokens === 8, `a request afterwards ended ${again.status}`);
    return rowOf(fault, stage, { faultAtMs, overAtMs: faultAtMs }, expect);
  } finally {
    await stage.close();
  }
}
