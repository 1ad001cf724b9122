export interface BackOffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Failures in a row after which there is no next try. */
  readonly maxFailures: number;
}

/** The waits between restarts: doubling from `firstMs` to `maxMs`, and an end after `maxFailures` failures in a row. */
export class BackOff {
  readonly #options: BackOffOptions;
  #failures = 0;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** Counts a failure and answers how long to wait, or undefined when it is time to give up. */
  next(): number | undefined {
    const { firstMs, maxMs, maxFailures } = this.#options;
    this.#failures++;
    if (this.#failures > maxFailures) return undefined;
    return Math.min(maxMs, firstMs * 2 ** (this.#failures - 1));
  }

  /** Forgets the failures: it worked for long enough. */
  reset(): void {
    this.#failures = 0;
  }
}
