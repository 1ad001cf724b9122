/** How long a connection lives and how it is watched. */
export interface LifetimeRules {
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly maxConnectionIdleMs: number;
  readonly maxConnectionAgeMs: number;
  readonly maxConnectionAgeGraceMs: number;
}

/** What has to be done about a connection now. */
export type LifetimeVerdict = "nothing" | "ping" | "vanished" | "retire" | "expired";

/** Each connection's age differs by up to this part, so that clients of a restarted server do not all come back at once. */
const ageJitter = 0.1;

/** The clocks of one connection (grpc/proposal A9). It is asked now and then and has no timer of its own. */
export class Lifetime {
  readonly #rules: LifetimeRules;
  readonly #retireAtMs: number;
  #heardAtMs: number;
  #pingedAtMs: number | undefined;
  #idleSinceMs: number | undefined;
  #retiredForAge = false;

  /** `random` in [0, 1) spreads the connection's age. */
  constructor(rules: LifetimeRules, nowMs: number, random: number) {
    this.#rules = rules;
    this.#heardAtMs = nowMs;
    this.#idleSinceMs = nowMs;
    this.#retireAtMs = nowMs + rules.maxConnectionAgeMs * (1 - ageJitter + 2 * ageJitter * random);
  }

  /** Bytes came, so the peer is there. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#pingedAtMs = undefined;
  }

  check(nowMs: number, streams: number): LifetimeVerdict {
    const rules = this.#rules;
    if (streams > 0) this.#idleSinceMs = undefined;
    else this.#idleSinceMs ??= nowMs;
    if (this.#pingedAtMs !== undefined) {
      if (nowMs - this.#pingedAtMs >= rules.keepaliveTimeoutMs) return "vanished";
    } else if (nowMs - this.#heardAtMs >= rules.keepaliveTimeMs) {
      this.#pingedAtMs = nowMs;
      return "ping";
    }
    if (nowMs >= this.#retireAtMs) {
      if (nowMs >= this.#retireAtMs + rules.maxConnectionAgeGraceMs) return "expired";
      if (!this.#retiredForAge) {
        this.#retiredForAge = true;
        return "retire";
      }
    }
    if (this.#idleSinceMs !== undefined && nowMs - this.#idleSinceMs >= rules.maxConnectionIdleMs) return "retire";
    return "nothing";
  }
}
