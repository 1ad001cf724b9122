/** The window moves in this many steps. */
const buckets = 20;

/** Tokens per second over the last `windowMs`, within a twentieth of it. Constant in memory and cost, whatever the rate. */
export class Throughput {
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #tokens: number[] = new Array(buckets).fill(0);
  /** Number of the bucket that is being filled, counted from time 0. */
  #current = 0;

  constructor(windowMs: number, now: () => number = () => performance.now()) {
    this.#windowMs = windowMs;
    this.#now = now;
  }

  add(tokens: number): void {
    this.#advance();
    const place = this.#current % buckets;
    this.#tokens[place] = (this.#tokens[place] ?? 0) + tokens;
  }

  get tokensPerSecond(): number {
    this.#advance();
    return this.#tokens.reduce((sum, tokens) => sum + tokens, 0) / (this.#windowMs / 1000);
  }

  /** Empties the buckets whose time has passed. */
  #advance(): void {
    const now = Math.floor(this.#now() / (this.#windowMs / buckets));
    const passed = Math.min(now - this.#current, buckets);
    for (let step = 1; step <= passed; step++) this.#tokens[(now - passed + step) % buckets] = 0;
    if (passed > 0) this.#current = now;
  }
}
