import type { Engine } from "../../engine/engine.ts";
import type { Clock } from "../../operations/clock.ts";
import type { Log } from "../../operations/log.ts";
import type { Trailers } from "../../rpc/status.ts";

/** What health says of the engine, for HealthCheck. */
export interface HealthAnswer {
  /** OK with `healthy` true or false, or the status UNAVAILABLE. */
  readonly outcome: "healthy" | "unhealthy" | "unavailable";
  /** Why, as a sentence. */
  readonly message: string;
  /** Why, for machines: goes with the answer in either case. */
  readonly trailers: Trailers;
}

/** What the service needs from the server around it. */
export interface VllmEngineContext {
  /** The service neither starts nor closes it. */
  readonly engine: Engine;
  /** The model's name towards clients; a gateway shows it as the model id. */
  readonly servedModelName: string;
  /** tokenwire's own version, for GetLoads. */
  readonly version: string;
  readonly log: Log;
  /** When the server started, on the clock of {@link now}. */
  readonly startedAtMs: number;
  /** Milliseconds since the epoch. */
  now(): number;
  /** The clock of the engine's progress, for silences and the pace of load records. Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Asks health how the engine is, as fresh as half a second allows. Never rejects. */
  health(): Promise<HealthAnswer>;
  /**
   * How many outputs may wait for a slot before Generate and Embed answer RESOURCE_EXHAUSTED. 0 admits only what can
   * run at once; undefined admits all.
   */
  readonly maxWaitingRequests?: number | undefined;
  /**
   * How many prompt tokens may wait for their first output before Generate and Embed answer RESOURCE_EXHAUSTED; a text
   * counts as one token per 2 characters. Undefined sets no bound.
   */
  readonly maxQueuedPromptTokens?: number | undefined;
  /** Where StartProfile may write; undefined is nowhere. */
  readonly profileDir?: string | undefined;
  /** One debug line per finished request. GetLoads tells the truth either way. */
  readonly logStats: boolean;
  /**
   * Resolves after so many milliseconds and rejects when the signal fires. Default: the machine's timer; a test puts
   * its own here.
   */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}
