/** What the token says that health asks an idle engine for. */
export interface CanaryEvidence {
  /** When the token was asked for that has not come; undefined when there is none. */
  readonly askedAtMs: number | undefined;
  /** The engine's own words, when it failed the last one and nothing has moved since. */
  readonly failure: string | undefined;
}

/** Collects canaries: one at a time. */
export class CanaryCollector {
  #askedAtMs: number | undefined;
  #lastAskedAtMs: number | undefined;
  #endedAtMs: number | undefined;
  #failure: string | undefined;

  asked(nowMs: number): void {
    this.#askedAtMs = nowMs;
    this.#lastAskedAtMs = nowMs;
  }

  answered(nowMs: number): void {
    this.#end(nowMs);
    this.#failure = undefined;
  }

  failed(message: string, nowMs: number): void {
    this.#end(nowMs);
    this.#failure = message;
  }

  /** Other requests got their tokens, so the engine can generate. */
  disproved(): void {
    this.#failure = undefined;
  }

  /** Another engine, or none. */
  replaced(): void {
    this.#askedAtMs = undefined;
    this.#lastAskedAtMs = undefined;
    this.#endedAtMs = undefined;
    this.#failure = undefined;
  }

  forgive(forMs: number, nowMs: number): void {
    if (this.#askedAtMs !== undefined) this.#askedAtMs = Math.min(nowMs, this.#askedAtMs + forMs);
  }

  /** When one was last asked for, or ended; undefined before the first of this engine. */
  get lastAtMs(): number | undefined {
    return this.#endedAtMs ?? this.#lastAskedAtMs;
  }

  get lastAskedAtMs(): number | undefined {
    return this.#lastAskedAtMs;
  }

  get evidence(): CanaryEvidence {
    return { askedAtMs: this.#askedAtMs, failure: this.#failure };
  }

  #end(nowMs: number): void {
    this.#askedAtMs = undefined;
    this.#endedAtMs = nowMs;
  }
}
