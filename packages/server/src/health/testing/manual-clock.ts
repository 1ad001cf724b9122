import type { Clock } from "../clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until a test turns it. */
export class ManualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Moves on, calling each timer at its time, and lets promise callbacks run in between. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (let timer = this.#next(untilMs); timer !== undefined; timer = this.#next(untilMs)) {
      this.#nowMs = timer.dueMs;
      this.#fire(timer);
      await settled();
    }
    this.#nowMs = untilMs;
    await settled();
  }

  /** The whole time passes at once, as when the process was stopped: what fell due fires only afterwards. */
  async freeze(forMs: number): Promise<void> {
    this.#nowMs += forMs;
    for (const timer of [...this.#timers]) if (timer.dueMs <= this.#nowMs) this.#fire(timer);
    await settled();
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.callback();
  }

  #next(untilMs: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.dueMs <= untilMs);
    return due.sort((a, b) => a.dueMs - b.dueMs)[0];
  }
}

/** All promise callbacks that are due have run. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
