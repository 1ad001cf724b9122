/** Time as a scripted engine sees it, so that a test can own it. */
export interface MockClock {
  /** Milliseconds; only differences matter. */
  now(): number;
  /** Calls `run` once after `delayMs`, never before this returns; answers a function that calls it off. */
  after(delayMs: number, run: () => void): () => void;
}

/** The machine's own clock. A delay of 0 waits for one turn of the event loop. */
export const systemClock: MockClock = {
  now: () => performance.now(),
  after(delayMs, run) {
    if (delayMs <= 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timeout = setTimeout(run, delayMs);
    return () => clearTimeout(timeout);
  },
};
