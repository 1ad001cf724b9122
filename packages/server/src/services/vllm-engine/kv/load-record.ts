import type { EngineLoad as LoadFigures } from "../../../engine/facts.ts";
import type { EngineLoad } from "../../../generated/common.ts";
import type { WorkInFlight } from "./work-in-flight.ts";

/** What a record says, before a stream makes it its own. */
export type LoadRecord = Omit<EngineLoad, "sample" | "loadOnly">;

export interface LoadSample {
  readonly figures: LoadFigures;
  readonly work: Pick<WorkInFlight, "requests" | "silenceMs" | "prefillPendingTokens">;
  /** Ranks that the engine has. What is in flight is known of all together. */
  readonly ranks: number;
  readonly reportsSteps: boolean;
  /** How old the engine's figures are, at the most. */
  readonly ageMs: number;
}

/**
 * The load of one rank as smg.grpc.common.EngineLoad says it.
 *
 * Requests that the engine has and has not counted yet (it counts at its steps) are waiting ones: an engine that hangs
 * must not look idle.
 */
export function loadRecord({ figures, work, ranks, reportsSteps, ageMs }: LoadSample): LoadRecord {
  const uncounted = ranks === 1 ? Math.max(0, work.requests - figures.runningRequests - figures.waitingRequests) : 0;
  const usage = figures.kvCacheTokens === 0 ? 0 : Math.min(1, figures.usedKvTokens / figures.kvCacheTokens);
  const silenceMs = work.silenceMs;
  return {
    runningRequests: figures.runningRequests,
    waitingRequests: figures.waitingRequests + uncounted,
    waitingUncachedTokens: Math.round(figures.waitingPromptTokens * (1 - figures.cacheHitRate)),
    tokenUsage: usage,
    genThroughput: figures.generatedTokensPerSecond,
    maxRunningRequests: figures.maxRunningRequests,
    ageMs: Math.round(ageMs),
    cacheHitRate: figures.cacheHitRate,
    numUsedTokens: figures.usedKvTokens,
    maxTotalNumTokens: figures.kvCacheTokens,
    memory: undefined,
    queues: { waiting: figures.waitingRequests + uncounted, grammar: 0, paused: 0, retracted: 0 },
    speculative: undefined,
    lora: undefined,
    disaggregation: undefined,
    engineSilenceMs: silenceMs === undefined ? undefined : Math.round(silenceMs),
    engineReportsSteps: reportsSteps,
    prefillPendingTokens: work.prefillPendingTokens,
  };
}

/** Without the fields that only the first record of a stream and its heartbeats carry. */
export function briefly(record: LoadRecord): LoadRecord {
  return {
    ...record,
    cacheHitRate: undefined,
    numUsedTokens: undefined,
    maxTotalNumTokens: undefined,
    queues: undefined,
  };
}

/** Share of the cache, tokens per second and milliseconds below which a figure has not moved. */
const usageStep = 0.005;
const rateShare = 0.05;
const rateStep = 1;
const silenceStepMs = 200;

/** True when the second record tells a reader of the first something new. */
export function hasMoved(before: LoadRecord, now: LoadRecord): boolean {
  const rateChange = Math.abs(now.genThroughput - before.genThroughput);
  return (
    before.runningRequests !== now.runningRequests ||
    before.waitingRequests !== now.waitingRequests ||
    before.waitingUncachedTokens !== now.waitingUncachedTokens ||
    before.prefillPendingTokens !== now.prefillPendingTokens ||
    before.maxRunningRequests !== now.maxRunningRequests ||
    Math.abs(now.tokenUsage - before.tokenUsage) >= usageStep ||
    rateChange > Math.max(rateStep, rateShare * before.genThroughput) ||
    (before.engineSilenceMs === undefined) !== (now.engineSilenceMs === undefined) ||
    Math.abs((now.engineSilenceMs ?? 0) - (before.engineSilenceMs ?? 0)) >= silenceStepMs
  );
}
