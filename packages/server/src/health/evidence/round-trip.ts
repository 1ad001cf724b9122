import { type TimeDistribution, TimeWindow } from "../accrual-detector.ts";

/** What the periodic question through the engine's own loop says. */
export interface RoundTripEvidence {
  /** When the question was asked that is not answered; undefined when there is none. */
  readonly askedAtMs: number | undefined;
  /** The last answer of this engine. */
  readonly echoedAtMs: number | undefined;
  /** The engine's own words, when it refused the last question. */
  readonly failure: string | undefined;
  /** How long answers take while the engine has no other work. */
  readonly times: TimeDistribution;
}

const windowSize = 64;

/** Collects round trips: one question at a time, never called off. */
export class RoundTripCollector {
  readonly #window = new TimeWindow(windowSize);
  #askedAtMs: number | undefined;
  #echoedAtMs: number | undefined;
  #failure: string | undefined;

  asked(nowMs: number): void {
    this.#askedAtMs = nowMs;
  }

  /** `isTypical` false keeps the time out of the statistics: it belongs to other work, or to a stall. */
  echoed(nowMs: number, isTypical: boolean): void {
    if (this.#askedAtMs !== undefined && isTypical) this.#window.add(nowMs - this.#askedAtMs);
    this.#askedAtMs = undefined;
    this.#echoedAtMs = nowMs;
    this.#failure = undefined;
  }

  failed(message: string): void {
    this.#askedAtMs = undefined;
    this.#failure = message;
  }

  /** Another engine, or none: nothing that was heard says anything of it. How long answers take stays known. */
  replaced(): void {
    this.#askedAtMs = undefined;
    this.#echoedAtMs = undefined;
    this.#failure = undefined;
  }

  /** So much time passed without us: it is nobody's silence. */
  forgive(forMs: number, nowMs: number): void {
    if (this.#askedAtMs !== undefined) this.#askedAtMs = Math.min(nowMs, this.#askedAtMs + forMs);
    if (this.#echoedAtMs !== undefined) this.#echoedAtMs = Math.min(nowMs, this.#echoedAtMs + forMs);
  }

  get evidence(): RoundTripEvidence {
    return {
      askedAtMs: this.#askedAtMs,
      echoedAtMs: this.#echoedAtMs,
      failure: this.#failure,
      times: this.#window.distribution,
    };
  }
}
