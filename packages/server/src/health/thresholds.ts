/** When a fact becomes a verdict. All are the operator's to choose; docs/health-model.md says for which machine. */
export interface HealthThresholds {
  /** Time between two looks at the engine. Default 1000. */
  readonly intervalMs: number;
  /** A shorter silence is never a stall, whatever the engine did before. Default 5000. */
  readonly stallFloorMs: number;
  /** A silence of so long is a stall, whatever the engine did before. Default: half the hang timeout, or the floor. */
  readonly stallCeilingMs: number;
  /** A silence of so long is a hang. An engine that burns CPU has twice that. Default 120,000. */
  readonly hangTimeoutMs: number;
  /** An engine that starts for longer is not alive. Default 600,000. */
  readonly startTimeoutMs: number;
  /** How long the engine may be idle before it is asked for a token; 0 never asks. Default 30,000. */
  readonly canaryIntervalMs: number;
  /** Good observations in a row that end a stall, a hang, a saturation or a failed check; 1 or more. Default 2. */
  readonly recoveryCount: number;
  /** More waiting requests than this are a saturation; undefined sets no limit. Default undefined. */
  readonly readyMaxWaiting: number | undefined;
}

const maxTimerMs = 2 ** 31 - 1;

/**
 * Fills in the defaults. Throws a RangeError for a time that a timer cannot take, a count below its least, and for times
 * in the wrong order: floor <= ceiling <= hang timeout, floor < hang timeout.
 */
export function healthThresholds(given: Partial<HealthThresholds> = {}): HealthThresholds {
  const { stallFloorMs = 5000, hangTimeoutMs = 120_000 } = given;
  const thresholds: HealthThresholds = {
    intervalMs: 1000,
    startTimeoutMs: 600_000,
    canaryIntervalMs: 30_000,
    recoveryCount: 2,
    readyMaxWaiting: undefined,
    stallCeilingMs: Math.max(stallFloorMs, hangTimeoutMs / 2),
    ...given,
    stallFloorMs,
    hangTimeoutMs,
  };
  for (const name of ["intervalMs", "stallFloorMs", "hangTimeoutMs", "startTimeoutMs"] as const) {
    assertRange(name, thresholds[name], 1, maxTimerMs);
  }
  assertRange("canaryIntervalMs", thresholds.canaryIntervalMs, 0, maxTimerMs);
  assertRange("recoveryCount", thresholds.recoveryCount, 1, Number.MAX_SAFE_INTEGER);
  if (thresholds.readyMaxWaiting !== undefined) {
    assertRange("readyMaxWaiting", thresholds.readyMaxWaiting, 0, Number.MAX_SAFE_INTEGER);
  }
  if (stallFloorMs >= hangTimeoutMs) {
    throw new RangeError(`stallFloorMs: ${stallFloorMs}, expected less than hangTimeoutMs (${hangTimeoutMs})`);
  }
  assertRange("stallCeilingMs", thresholds.stallCeilingMs, stallFloorMs, hangTimeoutMs);
  return thresholds;
}

function assertRange(name: string, value: number, from: number, to: number): void {
  if (!(value >= from && value <= to)) throw new RangeError(`${name}: ${value}, expected ${from} to ${to}`);
}
