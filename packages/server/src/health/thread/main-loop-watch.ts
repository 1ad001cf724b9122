/** What the heartbeat of another thread's event loop comes to. `silentMs` is the length of the silence when it was judged. */
export type MainLoopState =
  | { readonly t: "turning" }
  | { readonly t: "stalled"; readonly silentMs: number }
  | { readonly t: "hung"; readonly silentMs: number };

export interface MainLoopWatchOptions {
  /** A silence of so long is a stall. */
  readonly stallMs: number;
  /** A silence of so long is a hang. */
  readonly hangTimeoutMs: number;
  /** Time between two calls of {@link MainLoopWatch.observe} when this thread is on time. */
  readonly tickMs: number;
}

/** Beats that must follow each other after a stall: a loop that gasps once between two blocks is not well. */
const recoveryBeats = 3;

/**
 * Judges an event loop by a counter that it should move.
 *
 * turning ──silent for stallMs──→ stalled ──silent for hangTimeoutMs──→ hung; back to turning after three beats.
 *
 * Only time that the observer itself was awake counts as silence: when the whole process was stopped, or the machine
 * slept, nobody moved the counter and nobody is to blame.
 */
export class MainLoopWatch {
  readonly #options: MainLoopWatchOptions;
  #beats: number | undefined;
  #observedAtMs = 0;
  #silentMs = 0;
  #beatsInARow = 0;
  #state: MainLoopState = { t: "turning" };

  constructor(options: MainLoopWatchOptions) {
    this.#options = options;
  }

  get state(): MainLoopState {
    return this.#state;
  }

  /** Takes the counter's value at `nowMs` (any clock that only grows) and answers the state, the same object until it changes. */
  observe(beats: number, nowMs: number): MainLoopState {
    const sinceMs = nowMs - this.#observedAtMs;
    this.#observedAtMs = nowMs;
    if (this.#beats === beats) this.#heardNothing(Math.min(sinceMs, 2 * this.#options.tickMs));
    else if (this.#beats !== undefined) this.#heardBeat();
    this.#beats = beats;
    return this.#state;
  }

  #heardBeat(): void {
    this.#silentMs = 0;
    this.#beatsInARow += 1;
    if (this.#state.t !== "turning" && this.#beatsInARow >= recoveryBeats) this.#state = { t: "turning" };
  }

  #heardNothing(forMs: number): void {
    const { stallMs, hangTimeoutMs } = this.#options;
    this.#silentMs += forMs;
    if (this.#silentMs < stallMs) return;
    this.#beatsInARow = 0;
    if (this.#silentMs >= hangTimeoutMs) {
      if (this.#state.t !== "hung") this.#state = { t: "hung", silentMs: this.#silentMs };
    } else if (this.#state.t === "turning") {
      this.#state = { t: "stalled", silentMs: this.#silentMs };
    }
  }
}
