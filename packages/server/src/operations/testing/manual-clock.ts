import type { Clock } from "../clock.ts";

interface Timer {
  readonly delayMs: number;
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test turns it, and that tells when somebody waits for it. */
export class ManualClock implements Clock {
  // In the order in which they were set, which decides between timers due at the same time.
  readonly #timers = new Set<Timer>();
  #nowMs = 0;
  #waiters: { readonly delayMs: number; readonly resolve: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { delayMs, dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    for (const waiter of this.#waiters) if (waiter.delayMs === delayMs) waiter.resolve();
    this.#waiters = this.#waiters.filter((waiter) => waiter.delayMs !== delayMs);
    return () => void this.#timers.delete(timer);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Resolves once a timer of exactly this length is running. */
  armed(delayMs: number): Promise<void> {
    if ([...this.#timers].some((timer) => timer.delayMs === delayMs)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ delayMs, resolve });
    return promise;
  }

  /** Moves on and calls each timer at its time, those set on the way included. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    while (this.#fireNext(untilMs));
    this.#nowMs = untilMs;
  }

  /** Like {@link advance}, and lets promise callbacks run after each timer. */
  async advanceSettling(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    while (this.#fireNext(untilMs)) await settled();
    this.#nowMs = untilMs;
    await settled();
  }

  /** The whole time passes at once, as when the process was stopped: what fell due is called only afterwards. */
  async freeze(forMs: number): Promise<void> {
    this.#nowMs += forMs;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.#nowMs);
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback();
    await settled();
  }

  #fireNext(untilMs: number): boolean {
    const due = [...this.#timers].filter((timer) => timer.dueMs <= untilMs);
    const next = due.sort((a, b) => a.dueMs - b.dueMs)[0];
    if (next === undefined) return false;
    this.#timers.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.callback();
    return true;
  }
}

/** All promise callbacks that are due have run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
