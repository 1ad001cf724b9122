import type { EngineState } from "../../engine/state.ts";

/** How the engine's process ended. */
export interface EngineDeath {
  readonly reason: string;
  /** Set when its supervisor tries again. */
  readonly restartInMs: number | undefined;
}

/**
 * Collects deaths. One stays until the engine is replaced, which is when a new one begins to load in its place: a model that
 * loads is alive, and a liveness that stays off meanwhile would have the pod restarted in the middle of it.
 */
export class ProcessCollector {
  #death: EngineDeath | undefined;

  engineState(state: EngineState): void {
    if (state.t === "dead") this.#death = { reason: state.reason, restartInMs: state.restartInMs };
    else if (state.t === "starting" || state.t === "ready") this.#death = undefined;
  }

  get death(): EngineDeath | undefined {
    return this.#death;
  }
}
