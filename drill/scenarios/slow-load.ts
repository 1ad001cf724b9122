import { type DrillRow, Expectations, rowOf } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

/** A model that takes long to load: not ready, and alive all the while. */
export async function slowLoad(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings, { loadDelayMs: settings.slowLoadMs });
  try {
    const expect = new Expectations();
    const faultAtMs = 0;
    expect.holds(await stage.liveness.reads("SERVING", settings.slackMs), "liveness did not begin SERVING");
    expect.holds(await stage.readiness.reads("NOT_SERVING", settings.slackMs), "readiness did not begin NOT_SERVING");
    const loadedMs = settings.slowLoadMs + 30_000;
    expect.holds(await stage.readiness.reads("SERVING", loadedMs), "it did not serve after the load");
    expect.never("liveness", stage.liveness, faultAtMs);
    expect.holds(stage.readiness.changes.length === 2, "readiness changed more than once");
    const begunAtMs = stage.readiness.changes[0]?.atMs ?? 0;
    const row = rowOf(`a load of ${settings.slowLoadMs / 1000} s`, stage, { faultAtMs, overAtMs: begunAtMs }, expect);
    // Not ready from the first moment on.
    return { ...row, readinessOffMs: 0 };
  } finally {
    await stage.close();
  }
}
