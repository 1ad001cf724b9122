import { type DrillRow, Expectations, rowOf } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

/** SIGTERM under load: everybody hears NOT_SERVING while the port is still open, and no stream is lost. */
export async function termination(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings);
  try {
    const expect = new Expectations();
    const streams = await stage.load.startMany(8, { maxTokens: 1_500 });
    const faultAtMs = performance.now();
    stage.server.terminate();
    await stage.readiness.reads("NOT_SERVING", settings.slackMs);
    const whole = (await Promise.all(streams.map((stream) => stream.end))).filter(
      ({ status, tokens }) => status === "OK" && tokens === 1_500,
    ).length;
    expect.holds(whole === 8, `${8 - whole} of 8 streams were lost`);
    const code = await stage.server.exited(60_000);
    expect.holds(code === 0, `the server ended with ${code}`);
    for (const timeline of [stage.overall, stage.readiness]) {
      expect.within(`"${timeline.service}" NOT_SERVING`, timeline.delay("NOT_SERVING", faultAtMs), settings.pushMs);
      expect.holds(timeline.last === "NOT_SERVING", `the last that "${timeline.service}" heard was ${timeline.last}`);
    }
    expect.holds(
      stage.poller.answers.some(({ askedAtMs, status }) => askedAtMs >= faultAtMs && status === "NOT_SERVING"),
      "a poller did not read NOT_SERVING before the port closed",
    );
    expect.holds(
      (stage.readiness.endedAtMs ?? 0) - faultAtMs > (stage.readiness.delay("NOT_SERVING", faultAtMs) ?? 0),
      "the watch ended before it heard the last status",
    );
    expect.never("liveness", stage.liveness, faultAtMs);
    return rowOf("SIGTERM with open watches and 8 streams", stage, { faultAtMs, overAtMs: performance.now() }, expect);
  } finally {
    await stage.close();
  }
}
