/** Takes one CPU or accelerator profile at a time of whatever computes in an engine. */
export interface EngineProfiler {
  /**
   * True: {@link start} takes the path of the file to write. False: where and what is recorded was settled when the
   * engine was launched, and no path is given.
   */
  readonly takesPath: boolean;
  /** Begins to record. Rejects when the engine is not ready, or records already. */
  start(path: string | undefined): Promise<void>;
  /** Ends the recording and resolves when the profile is written. Rejects when it cannot be, or nothing is recorded. */
  stop(): Promise<void>;
}
