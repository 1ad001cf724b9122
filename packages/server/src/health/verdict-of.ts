import type { TimeDistribution } from "./accrual-detector.ts";
import type { Evidence } from "./evidence.ts";
import { isSuspicious, type Silence } from "./suspicion.ts";
import type { HealthThresholds } from "./thresholds.ts";
import type { Verdict } from "./verdict.ts";

/**
 * How much longer an engine that burns CPU may be silent before it hangs. A compile or a long prefill burns CPU and comes
 * back; a deadlock that spins burns it as well and does not, so the patience has an end.
 */
export const burningPatience = 2;

/** Steps that must have been seen before they say what is usual. */
const leastSteps = 3;
/** Until then a step is taken for this share of the stall floor, give or take as much: the floor fits the machine. */
const assumedShareOfFloor = 0.2;

/**
 * Judges all evidence at one moment. Pure: the same evidence, thresholds and time give the same verdict; what came before
 * counts only in `recovery.ts`.
 *
 * In order, the first that holds: draining; dead; starting or overdue; a failed check (dead); hung; not heard yet
 * (starting); paused; stalled; saturated; ready.
 */
export function verdictOf(evidence: Evidence, thresholds: HealthThresholds, nowMs: number): Verdict {
  return ended(evidence) ?? starting(evidence, thresholds, nowMs) ?? running(evidence, thresholds, nowMs);
}

function ended({ lifecycle, death }: Evidence): Verdict | undefined {
  const { drainingBecause } = lifecycle;
  if (drainingBecause !== undefined) return { t: "draining", reason: "shutting-down", detail: drainingBecause };
  if (lifecycle.engine === "stopped") {
    return { t: "draining", reason: "engine-closed" };
  }
  if (death === undefined) return undefined;
  return { t: "dead", reason: "engine-dead", detail: death.reason, restartInMs: death.restartInMs };
}

function starting({ lifecycle }: Evidence, thresholds: HealthThresholds, nowMs: number): Verdict | undefined {
  if (lifecycle.engine !== "starting") return undefined;
  const forMs = nowMs - lifecycle.sinceMs;
  return forMs >= thresholds.startTimeoutMs
    ? { t: "overdue", reason: "start-overdue", forMs }
    : { t: "starting", reason: "engine-starting", forMs };
}

function running(evidence: Evidence, thresholds: HealthThresholds, nowMs: number): Verdict {
  const { lifecycle, progress, roundTrip, canary, saturation, activity } = evidence;
  if (roundTrip.failure !== undefined) return { t: "dead", reason: "check-failed", detail: roundTrip.failure };

  const silentMs = nowMs - silentSince(evidence, nowMs);
  const patience = activity.isBurningCpu ? burningPatience : 1;
  if (silentMs >= thresholds.hangTimeoutMs * patience) {
    return { t: "hung", reason: "hang", forMs: silentMs, isProcessStopped: activity.isStopped };
  }
  if (roundTrip.echoedAtMs === undefined && progress.movedAtMs === undefined) {
    return { t: "starting", reason: "engine-starting", forMs: nowMs - lifecycle.sinceMs };
  }
  if (lifecycle.pausedBecause !== undefined) {
    return { t: "paused", reason: "paused", detail: lifecycle.pausedBecause };
  }

  const { requestsInFlight } = progress;
  if (isSuspicious(silenceOf(evidence, silentMs, thresholds), thresholds)) {
    const reason = activity.isStopped ? "process-stopped" : "no-answer";
    return { t: "stalled", reason, forMs: silentMs, requestsInFlight };
  }
  const stillMs = nowMs - stillSince(evidence, nowMs);
  // The engine answers, so there is no doubt that it lives: only the last bound counts.
  if (requestsInFlight > 0 && stillMs >= thresholds.stallCeilingMs) {
    return { t: "stalled", reason: "no-progress", forMs: stillMs, requestsInFlight };
  }
  if (canary.askedAtMs !== undefined && isSuspicious(silenceOf(evidence, stillMs, thresholds), thresholds)) {
    return { t: "stalled", reason: "canary-unanswered", forMs: stillMs, requestsInFlight };
  }
  if (canary.failure !== undefined) return { t: "stalled", reason: "canary-failed", detail: canary.failure };

  const { readyMaxWaiting } = thresholds;
  if (readyMaxWaiting !== undefined && saturation.waitingRequests > readyMaxWaiting) {
    const { waitingRequests } = saturation;
    return { t: "saturated", reason: "queue-full", waitingRequests, limit: readyMaxWaiting };
  }
  return { t: "ready", reason: "ready" };
}

/** When the engine was last heard, or first asked since; now when nobody waits for anything. */
function silentSince(evidence: Evidence, nowMs: number): number {
  const { progress, roundTrip, canary } = evidence;
  const asked = [roundTrip.askedAtMs, canary.askedAtMs, progress.workSinceMs].filter((atMs) => atMs !== undefined);
  if (asked.length === 0) return nowMs;
  const heardAtMs = Math.max(progress.movedAtMs ?? 0, roundTrip.echoedAtMs ?? 0);
  return Math.min(nowMs, Math.max(Math.min(...asked), heardAtMs));
}

/** When work last moved, or was first handed over since; now when there is none. An answer alone does not count. */
function stillSince({ progress, canary }: Evidence, nowMs: number): number {
  const handed = [canary.askedAtMs, progress.workSinceMs].filter((atMs) => atMs !== undefined);
  if (handed.length === 0) return nowMs;
  return Math.min(nowMs, Math.max(Math.min(...handed), progress.movedAtMs ?? 0));
}

function silenceOf(evidence: Evidence, forMs: number, thresholds: HealthThresholds): Silence {
  const { progress, prefill, roundTrip, canary, activity } = evidence;
  const isWorking = progress.workSinceMs !== undefined || canary.askedAtMs !== undefined;
  return {
    forMs,
    // The answer of an engine at work waits for the step that it is in.
    times: isWorking ? stepTimesOf(evidence, thresholds) : roundTrip.times,
    extensionMs: (prefill.pendingTokens * 1000) / prefill.tokensPerSecond,
    isProcessStopped: activity.isStopped,
  };
}

function stepTimesOf({ progress }: Evidence, { stallFloorMs }: HealthThresholds): TimeDistribution {
  const { stepTimes } = progress;
  if (stepTimes.count >= leastSteps) return stepTimes;
  const assumedMs = stallFloorMs * assumedShareOfFloor;
  return { count: 0, meanMs: assumedMs, deviationMs: assumedMs };
}
