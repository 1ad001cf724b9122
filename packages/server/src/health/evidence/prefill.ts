/** Prompts that were handed over and are not computed. */
export interface PrefillEvidence {
  readonly pendingTokens: number;
  /** Slower than observed rather than faster: it decides how long a silence is honest work. */
  readonly tokensPerSecond: number;
}

/** Until one was observed: a model of 7 billion parameters on a few CPU cores. */
const assumedTokensPerSecond = 50;
/** Of a shorter prompt most of the time is not prefill. */
const leastTokens = 64;
/** Weight of the newest observation. */
const newest = 0.3;

/** Collects how fast prompts are computed. */
export class PrefillCollector {
  #tokensPerSecond: number | undefined;

  /** A prompt that did not have to queue had its first output after so long. Cached tokens do not count. */
  computed(tokens: number, tookMs: number): void {
    if (tokens < leastTokens || tookMs <= 0) return;
    const rate = (tokens * 1000) / tookMs;
    this.#tokensPerSecond =
      this.#tokensPerSecond === undefined ? rate : (1 - newest) * this.#tokensPerSecond + newest * rate;
  }

  get tokensPerSecond(): number {
    return this.#tokensPerSecond ?? assumedTokensPerSecond;
  }
}
