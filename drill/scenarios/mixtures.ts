import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../../conformance/harness/seeded.ts";
import { type DrillRow, Expectations } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

type Trouble = "kill" | "abort" | "freeze" | "blink" | "burn" | "hiccup" | "burst" | "quiet";
const troubles: readonly Trouble[] = ["kill", "abort", "freeze", "blink", "burn", "hiccup", "burst", "quiet"];
/** Troubles that readiness must show; the others are too short or no trouble at all. */
const alarming: ReadonlySet<Trouble> = new Set(["kill", "abort", "freeze", "burn"]);

/**
 * Troubles in random order and under random load, on one server: each that must be seen is seen, none that must not is,
 * and every watch knows the last status.
 */
export async function mixtures(settings: DrillSettings, seed: number): Promise<DrillRow> {
  const random = seeded(seed);
  const stage = await DrillStage.open(settings);
  const expect = new Expectations();
  let falseAlarms = 0;
  let worstMs = 0;
  try {
    for (let round = 1; round <= settings.mixtures; round++) {
      const trouble = troubles[Math.floor(random() * troubles.length)] ?? "quiet";
      const streams = Math.floor(random() * 12);
      for (let i = 0; i < streams; i++) void stage.load.start({ maxTokens: 64 + Math.floor(random() * 512) });
      const faultAtMs = performance.now();
      await play(trouble, stage, random);
      const name = `round ${round} (seed ${seed}, ${trouble}, ${streams} streams)`;
      if (alarming.has(trouble)) {
        await stage.readiness.reads("SERVING", settings.hangTimeoutMs + 30_000);
        const offMs = stage.readiness.delay("NOT_SERVING", faultAtMs);
        expect.holds(offMs !== undefined, `${name}: the fault was missed`);
        worstMs = Math.max(worstMs, offMs ?? 0);
      } else {
        await sleep(2 * settings.intervalMs);
        const alarms = stage.readiness.alarms(faultAtMs);
        falseAlarms += alarms;
        expect.holds(alarms === 0, `${name}: a false alarm`);
      }
      expect.holds(await stage.serves(30_000), `${name}: it does not serve afterwards`);
      for (const timeline of stage.timelines) {
        const repeated = timeline.changes.some((change, i) => change.status === timeline.changes[i - 1]?.status);
        expect.holds(!repeated, `${name}: "${timeline.service}" was told the same status twice`);
      }
    }
    const fault = `${settings.mixtures} random mixtures, seed ${seed}`;
    const over = { recoveredMs: undefined, livenessOffMs: undefined, reason: undefined };
    const readinessOffMs = worstMs === 0 ? undefined : worstMs;
    return { fault, readinessOffMs, ...over, falseAlarms, broken: expect.broken };
  } finally {
    await stage.close();
  }
}

async function play(trouble: Trouble, stage: DrillStage, random: () => number): Promise<void> {
  const { stallFloorMs, intervalMs, slackMs } = stage.settings;
  // A stopped process is seen at the floor. One that burns CPU may be granted more, when earlier rounds have shown that
  // this engine takes its time, but not beyond the ceiling: half the hang timeout.
  const frozenMs = stallFloorMs + 2 * intervalMs + slackMs;
  const burningMs = Math.max(stallFloorMs, stage.settings.hangTimeoutMs / 2) + 2 * intervalMs + slackMs;
  const shortMs = (stallFloorMs / 4) * random();
  switch (trouble) {
    case "kill":
      stage.server.signalEngine("SIGKILL");
      await stage.readiness.reads("NOT_SERVING", slackMs);
      break;
    case "abort":
      stage.server.abortEngine();
      await stage.readiness.reads("NOT_SERVING", slackMs);
      break;
    case "freeze":
      stage.server.signalEngine("SIGSTOP");
      // Idle, the silence shows with the next round trip or canary.
      await stage.readiness.reads("NOT_SERVING", frozenMs + stage.settings.canaryIntervalMs);
      stage.server.signalEngine("SIGCONT");
      break;
    case "blink":
      stage.server.signalEngine("SIGSTOP");
      await sleep(shortMs);
      stage.server.signalEngine("SIGCONT");
      break;
    case "burn":
      stage.server.burnEngine(burningMs);
      await stage.readiness.reads("NOT_SERVING", burningMs);
      break;
    case "hiccup":
      stage.server.burnEngine(shortMs);
      break;
    case "burst": {
      const streams = await stage.load.startMany(64, { maxTokens: 32 });
      await Promise.all(streams.map((stream) => stream.end));
      break;
    }
    case "quiet":
      await sleep(shortMs);
      break;
  }
}
