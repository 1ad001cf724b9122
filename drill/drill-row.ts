import type { DrillStage } from "./drill-stage.ts";
import type { Timeline } from "./timeline.ts";

/** One line of the drill's table. Times in milliseconds from the fault; undefined means never. */
export interface DrillRow {
  readonly fault: string;
  readonly readinessOffMs: number | undefined;
  readonly livenessOffMs: number | undefined;
  /** From the end of the fault, where it has one. */
  readonly recoveredMs: number | undefined;
  readonly reason: string | undefined;
  /** Changes to NOT_SERVING that the fault does not explain. */
  readonly falseAlarms: number;
  /** What did not hold; empty when all did. */
  readonly broken: readonly string[];
}

/** Gathers what must hold in one scenario and what did not. */
export class Expectations {
  readonly broken: string[] = [];

  holds(condition: boolean, sentence: string): void {
    if (!condition) this.broken.push(sentence);
  }

  within(what: string, tookMs: number | undefined, limitMs: number): void {
    if (tookMs === undefined) this.broken.push(`${what} never came`);
    else if (tookMs > limitMs) this.broken.push(`${what} took ${Math.round(tookMs)} ms, allowed are ${limitMs}`);
  }

  never(what: string, timeline: Timeline, sinceMs: number): void {
    const atMs = timeline.delay("NOT_SERVING", sinceMs);
    if (atMs !== undefined) this.broken.push(`${what} went NOT_SERVING after ${Math.round(atMs)} ms`);
  }
}

/** The row of a fault that began at `faultAtMs` and ended at `overAtMs`. */
export function rowOf(
  fault: string,
  stage: DrillStage,
  times: { readonly faultAtMs: number; readonly overAtMs: number },
  expectations: Expectations,
  falseAlarms = 0,
): DrillRow {
  const { faultAtMs, overAtMs } = times;
  return {
    fault,
    readinessOffMs: stage.readiness.delay("NOT_SERVING", faultAtMs),
    livenessOffMs: stage.liveness.delay("NOT_SERVING", faultAtMs),
    recoveredMs: stage.readiness.delay("SERVING", overAtMs),
    reason: stage.reasonSince(faultAtMs),
    falseAlarms,
    broken: expectations.broken,
  };
}

/** The rows as a Markdown table, times in seconds. */
export function tableOf(rows: readonly DrillRow[]): string {
  const time = (ms: number | undefined): string => (ms === undefined ? "never" : `${(ms / 1000).toFixed(2)} s`);
  const lines = rows.map((row) => {
    const times = [row.readinessOffMs, row.livenessOffMs, row.recoveredMs].map(time);
    const result = row.broken.length === 0 ? "holds" : row.broken.join("; ");
    return `| ${[row.fault, ...times, row.reason ?? "", row.falseAlarms, result].join(" | ")} |`;
  });
  return [
    "| fault | readiness off after | liveness off after | back after | reason | false alarms | result |",
    "| --- | ---: | ---: | ---: | --- | ---: | --- |",
    ...lines,
  ].join("\n");
}
