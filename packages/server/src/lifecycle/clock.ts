/** The timers of the lifecycle, handed in so that tests need not wait. */
export interface Clock {
  /** Calls back once after `ms` milliseconds; answers a function that takes the timer back. */
  after(ms: number, callback: () => void): () => void;
}

/** The real clock of this process. */
export const systemClock: Clock = {
  after(ms, callback) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
