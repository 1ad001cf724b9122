/** Time as the health room sees it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds that only grow, on the scale of `performance.now()`. */
  nowMs(): number;
  /** Calls back once after the delay; answers a function that prevents it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
