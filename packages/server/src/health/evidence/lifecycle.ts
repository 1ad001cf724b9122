import type { EngineState } from "../../engine/state.ts";

/** Where the engine and the server are in their lives, as they say themselves. */
export interface LifecycleEvidence {
  readonly engine: "starting" | "ready" | "stopped";
  /** When the engine entered that state. */
  readonly sinceMs: number;
  /** A sentence, when the server withdraws. */
  readonly drainingBecause: string | undefined;
  /** A sentence, when the engine was told to pause. */
  readonly pausedBecause: string | undefined;
}

/** Collects the lifecycle. A death is not part of it: see `process.ts`. */
export class LifecycleCollector {
  #engine: LifecycleEvidence["engine"] = "starting";
  #sinceMs: number;
  #drainingBecause: string | undefined;
  #pausedBecause: string | undefined;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  engineState(state: EngineState, nowMs: number): void {
    switch (state.t) {
      case "idle":
      case "starting":
        this.#enter("starting", nowMs);
        break;
      case "ready":
        this.#enter("ready", nowMs);
        break;
      case "closed":
        this.#enter("stopped", nowMs);
        break;
      case "dead":
        // What follows a death is a start of its own, with its own time.
        this.#engine = "starting";
        this.#sinceMs = nowMs;
        break;
    }
  }

  /** The first reason stands. */
  drain(because: string): void {
    this.#drainingBecause ??= because;
  }

  pause(because: string | undefined): void {
    this.#pausedBecause = because;
  }

  get evidence(): LifecycleEvidence {
    return {
      engine: this.#engine,
      sinceMs: this.#sinceMs,
      drainingBecause: this.#drainingBecause,
      pausedBecause: this.#pausedBecause,
    };
  }

  #enter(engine: LifecycleEvidence["engine"], nowMs: number): void {
    if (this.#engine === engine) return;
    this.#engine = engine;
    this.#sinceMs = nowMs;
  }
}
