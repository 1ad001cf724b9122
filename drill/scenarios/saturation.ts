import { type DrillRow, Expectations, rowOf } from "../drill-row.ts";
import { DrillStage } from "../drill-stage.ts";
import type { DrillSettings } from "../settings.ts";

const slots = 8;

/** Four times more requests than slots, with prompts that fill the context among them: busy is not ill. */
export async function saturation(settings: DrillSettings): Promise<DrillRow> {
  const stage = await DrillStage.open(settings, { flags: ["--max-num-seqs", String(slots)] });
  try {
    const expect = new Expectations();
    const faultAtMs = performance.now();
    const untilMs = faultAtMs + settings.saturationMs;
    const long = "the fox and the kite ".repeat(320);
    let requests = 0;
    let failures = 0;
    const client = async (turn: number): Promise<void> => {
      while (performance.now() < untilMs) {
        const fills = (turn + requests++) % 3 === 0;
        const end = await stage.load.start(fills ? { text: long, maxTokens: 4 } : { maxTokens: 256 }).end;
        if (end.status !== "OK") failures++;
      }
    };
    await Promise.all(Array.from({ length: 4 * slots }, (_, turn) => client(turn)));
    expect.holds(failures === 0, `${failures} of ${requests} requests failed`);
    let falseAlarms = 0;
    for (const timeline of stage.timelines) falseAlarms += timeline.alarms(faultAtMs);
    expect.holds(falseAlarms === 0, "a name changed under load");
    const seconds = settings.saturationMs / 1000;
    const fault = `saturation: ${4 * slots} clients on ${slots} slots for ${seconds} s, full contexts among them`;
    return rowOf(fault, stage, { faultAtMs, overAtMs: untilMs }, expect, falseAlarms);
  } finally {
    await stage.close();
  }
}
