interface Sample {
  readonly atMs: number;
  readonly tokens: number;
}

/** Tokens per second over the last `windowMs`, from events as they come. */
export class Throughput {
  readonly #windowMs: number;
  readonly #now: () => number;
  #samples: Sample[] = [];

  constructor(windowMs: number, now: () => number = () => performance.now()) {
    this.#windowMs = windowMs;
    this.#now = now;
  }

  add(tokens: number): void {
    if (tokens === 0) return;
    this.#samples.push({ atMs: this.#now(), tokens });
    // Dropping in lots keeps the cost per event constant.
    if (this.#samples.length > 4096) this.#dropOld();
  }

  get tokensPerSecond(): number {
    this.#dropOld();
    return this.#samples.reduce((sum, sample) => sum + sample.tokens, 0) / (this.#windowMs / 1000);
  }

  #dropOld(): void {
    const oldest = this.#now() - this.#windowMs;
    this.#samples = this.#samples.filter((sample) => sample.atMs > oldest);
  }
}
