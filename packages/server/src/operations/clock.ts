/** Time as the rooms see it, handed in so that a test can turn it by hand. */
export interface Clock {
  /** Milliseconds that only grow, on the scale of `performance.now()`. */
  nowMs(): number;
  /** Calls back once after the delay, never before this returns; answers a function that calls it off. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The machine's clock. A delay of 0 waits for one turn of the event loop. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    if (delayMs <= 0) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
