/** Where an engine is in its life, as an engine itself knows it. A hang is not here: that is judged from evidence. */
export type EngineState =
  | { readonly t: "idle" }
  /** Loading, for the first time or again after a crash. `progress` is in [0, 1] when known. */
  | { readonly t: "starting"; readonly progress: number | undefined }
  | { readonly t: "ready" }
  /** The process died or cannot start. `restartInMs` is set when a supervisor will try again. */
  | { readonly t: "dead"; readonly reason: string; readonly restartInMs: number | undefined }
  | { readonly t: "closed" };

/** A sample of the engine's own counters: proof that work moves. */
export interface EngineProgress {
  /** Scheduler steps since the engine's start; only grows, starts again at 0 after a restart. */
  readonly steps: number;
  readonly generatedTokens: number;
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** `performance.now()` of this process when the sample arrived. */
  readonly receivedAtMs: number;
}
