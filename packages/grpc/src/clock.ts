/** Time as the server sees it. Tests hand in one that they turn by hand. */
export interface Clock {
  /** Milliseconds that never go back, from an arbitrary beginning. */
  nowMs(): number;
  /** Milliseconds since the epoch. */
  wallMs(): number;
  /** Calls once after so many milliseconds; does not keep the process alive. Answers how to take it back. */
  after(ms: number, work: () => void): () => void;
}

const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (ms, work) => {
    const timer = setTimeout(work, Math.min(ms, longestTimerMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
