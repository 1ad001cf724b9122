import type { EngineState } from "../../engine/state.ts";

/** How the engine's process ended. */
export interface EngineDeath {
  readonly reason: string;
  /** Set when its supervisor tries again. */
  readonly restartInMs: number | undefined;
}

/** Collects deaths. One stays until the engine is replaced, which is when a new one is ready: a start may fail again. */
export class ProcessCollector {
  #death: EngineDeath | undefined;

  engineState(state: EngineState): void {
    if (state.t === "dead") this.#death = { reason: state.reason, restartInMs: state.restartInMs };
    else if (state.t === "ready") this.#death = undefined;
  }

  get death(): EngineDeath | undefined {
    return this.#death;
  }
}
