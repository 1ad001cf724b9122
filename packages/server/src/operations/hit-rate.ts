/** The share of prompt tokens found in the cache over the last so many prompts. */
export class HitRate {
  readonly #prompts: { readonly cached: number; readonly total: number }[] = [];
  readonly #window: number;

  constructor(window: number) {
    this.#window = window;
  }

  add(cachedTokens: number, promptTokens: number): void {
    this.#prompts.push({ cached: cachedTokens, total: promptTokens });
    if (this.#prompts.length > this.#window) this.#prompts.shift();
  }

  /** In [0, 1]; 0 before the first prompt. */
  get value(): number {
    let cached = 0;
    let total = 0;
    for (const prompt of this.#prompts) {
      cached += prompt.cached;
      total += prompt.total;
    }
    return total === 0 ? 0 : cached / total;
  }
}
