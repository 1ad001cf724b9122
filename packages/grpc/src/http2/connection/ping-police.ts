/** How often a client may ping (grpc/proposal A8 and A9, as grpc-go holds it). */
export interface PingRules {
  readonly minPingIntervalMs: number;
  readonly permitPingsWithoutCalls: boolean;
  readonly maxPingStrikes: number;
}

/** gRPC's interval for pings on a connection without calls, where those are not permitted. */
const withoutCallsIntervalMs = 2 * 60 * 60 * 1000;
/** A client that pings each 10 s is sometimes a little early: timers are not exact. */
const tolerance = 0.9;

/** Counts pings that come too fast. A message sent between two pings makes up for all strikes so far. */
export class PingPolice {
  readonly #rules: PingRules;
  #lastMs = Number.NEGATIVE_INFINITY;
  #strikes = 0;

  constructor(rules: PingRules) {
    this.#rules = rules;
  }

  /** A HEADERS or DATA frame went out, so that a ping after it may be the client's bandwidth measurement. */
  forgive(): void {
    this.#lastMs = Number.NEGATIVE_INFINITY;
    this.#strikes = 0;
  }

  /** False when this ping is one too many. */
  allows(nowMs: number, hasCalls: boolean): boolean {
    const { minPingIntervalMs, permitPingsWithoutCalls, maxPingStrikes } = this.#rules;
    const intervalMs = hasCalls || permitPingsWithoutCalls ? minPingIntervalMs : withoutCallsIntervalMs;
    if (nowMs - this.#lastMs < intervalMs * tolerance) this.#strikes += 1;
    this.#lastMs = nowMs;
    return this.#strikes <= maxPingStrikes;
  }
}
