/** Keeps the results used last, within a bound on the length of all keys and results together. */
export class RecentResults {
  readonly #maxLength: number;
  /** In the order of use, the oldest first. */
  readonly #results = new Map<string, string>();
  #length = 0;

  /** `maxLength` is in UTF-16 units. */
  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** The result for a key, made where it is not kept. What `make` throws is not kept. */
  get(key: string, make: () => string): string {
    const known = this.#results.get(key);
    const result = known ?? make();
    if (known === undefined) {
      if (key.length + result.length > this.#maxLength) return result;
      this.#length += key.length + result.length;
    } else this.#results.delete(key);
    this.#results.set(key, result);
    for (const [oldKey, oldResult] of this.#results) {
      if (this.#length <= this.#maxLength) break;
      this.#results.delete(oldKey);
      this.#length -= oldKey.length + oldResult.length;
    }
    return result;
  }
}
