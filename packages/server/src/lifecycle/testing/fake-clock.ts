import type { Clock } from "../clock.ts";

interface Timer {
  readonly ms: number;
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved, and that tells when somebody waits for it. */
export class FakeClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Set<Timer>();
  #watchers: { readonly ms: number; readonly resolve: () => void }[] = [];

  after(ms: number, callback: () => void): () => void {
    const timer: Timer = { ms, dueMs: this.#nowMs + ms, callback };
    this.#timers.add(timer);
    this.#watchers = this.#watchers.filter((watcher) => {
      if (watcher.ms === ms) watcher.resolve();
      return watcher.ms !== ms;
    });
    return () => void this.#timers.delete(timer);
  }

  /** Moves on; what is due by then is called, earliest first. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.#nowMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const timer of due) if (this.#timers.delete(timer)) timer.callback();
  }

  /** Resolves once a timer of exactly this length is running. */
  armed(ms: number): Promise<void> {
    if ([...this.#timers].some((timer) => timer.ms === ms)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#watchers.push({ ms, resolve });
    return promise;
  }

  /** Timers still running. */
  get pending(): number {
    return this.#timers.size;
  }
}
