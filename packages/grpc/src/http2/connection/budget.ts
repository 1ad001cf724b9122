/**
 * A bucket that fills with time and with useful work, and that useless frames drain. A peer that empties it works
 * against the server and not with it.
 */
export class Budget {
  readonly #capacity: number;
  readonly #perMs: number;
  #left: number;
  #filledAtMs: number;

  constructor(capacity: number, perSecond: number, nowMs: number) {
    this.#capacity = capacity;
    this.#perMs = perSecond / 1000;
    this.#left = capacity;
    this.#filledAtMs = nowMs;
  }

  /** Takes `cost` out; false when there was not so much. */
  spend(cost: number, nowMs: number): boolean {
    this.#left -= cost;
    if (this.#left >= 0) return true;
    // The clock counts only when it is needed, because this runs for each frame.
    this.#left = Math.min(this.#capacity, this.#left + (nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
    return this.#left >= 0;
  }

  /** Gives back for useful work, up to the capacity. */
  earn(amount: number): void {
    this.#left = Math.min(this.#capacity, this.#left + amount);
  }
}
