import { phi, type TimeDistribution } from "./accrual-detector.ts";
import type { HealthThresholds } from "./thresholds.ts";

/** One wrong suspicion in a hundred million waits, were they normally distributed. Cassandra and Akka use 8 as well. */
export const suspicionPhi = 8;

/** What is known of a silence. */
export interface Silence {
  readonly forMs: number;
  /** How long such an answer took until now. */
  readonly times: TimeDistribution;
  /** Time that the engine is given beyond that, for work that it was handed. */
  readonly extensionMs: number;
  /** The system says that nobody can answer: what is usual does not matter then. */
  readonly isProcessStopped: boolean;
}

/**
 * Whether a silence is suspicious: never before the floor, always from the ceiling on, and in between when it lasts longer
 * than what was observed explains. Once it is suspicious it stays so while it lasts and nothing else changes.
 */
export function isSuspicious(silence: Silence, thresholds: HealthThresholds): boolean {
  const { forMs, times, extensionMs, isProcessStopped } = silence;
  const { stallFloorMs, stallCeilingMs } = thresholds;
  if (forMs < stallFloorMs) return false;
  if (forMs >= stallCeilingMs || isProcessStopped) return true;
  const unexplainedMs = forMs - extensionMs;
  return unexplainedMs >= stallFloorMs && phi(unexplainedMs, widened(times)) >= suspicionPhi;
}

/** Regular times would make the detector sure of the next millisecond; no machine is that regular. */
function widened({ meanMs, deviationMs }: TimeDistribution): Omit<TimeDistribution, "count"> {
  return { meanMs, deviationMs: Math.max(deviationMs, meanMs / 4, 100) };
}
