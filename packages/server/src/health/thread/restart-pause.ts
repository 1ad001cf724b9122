const firstMs = 100;
const maxMs = 10_000;
/** A life of so long counts as a success. */
const goodLifeMs = 60_000;

/** The pauses before restarts of something that has to run for ever: doubling from 100 ms to 10 s, and short again after it ran for a minute. */
export class RestartPause {
  #pauseMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** How long to wait after a death at `nowMs`, on any clock that only grows. */
  next(nowMs: number): number {
    const livedMs = nowMs - this.#lastMs - this.#pauseMs;
    this.#pauseMs = livedMs >= goodLifeMs ? firstMs : Math.min(maxMs, this.#pauseMs * 2);
    this.#lastMs = nowMs;
    return this.#pauseMs;
  }
}
