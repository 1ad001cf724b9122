/** How a drill is run: the server's thresholds, and how long each fault lasts. All times in milliseconds. */
export interface DrillSettings {
  readonly intervalMs: number;
  readonly stallFloorMs: number;
  readonly hangTimeoutMs: number;
  readonly canaryIntervalMs: number;
  /** What a pushed change may take from its cause to a watcher on this machine. */
  readonly pushMs: number;
  /** What the machine may add to any time: timers and processes are late when it is busy. */
  readonly slackMs: number;
  readonly longStepMs: number;
  readonly saturationMs: number;
  readonly mainBlocksMs: readonly number[];
  readonly slowLoadMs: number;
  readonly mixtures: number;
}

/** The thresholds that `tokenwire serve` has by default. Takes about twenty minutes. */
export const defaultSettings: DrillSettings = {
  intervalMs: 1_000,
  stallFloorMs: 5_000,
  hangTimeoutMs: 120_000,
  canaryIntervalMs: 30_000,
  pushMs: 100,
  slackMs: 1_000,
  longStepMs: 60_000,
  saturationMs: 60_000,
  mainBlocksMs: [5_000, 30_000],
  slowLoadMs: 180_000,
  mixtures: 100,
};

/** Everything shorter, for continuous integration: the same relations between the times, on a busy machine. */
export const quickSettings: DrillSettings = {
  intervalMs: 200,
  stallFloorMs: 1_500,
  hangTimeoutMs: 8_000,
  canaryIntervalMs: 1_000,
  pushMs: 1_000,
  slackMs: 2_000,
  longStepMs: 5_000,
  saturationMs: 10_000,
  mainBlocksMs: [3_000],
  slowLoadMs: 5_000,
  mixtures: 8,
};

/** The flags of `serve` that make a server follow the settings. */
export function serveFlags(settings: DrillSettings): string[] {
  const seconds = (ms: number): string => String(ms / 1000);
  return [
    ["--health-interval", seconds(settings.intervalMs)],
    ["--stall-floor", seconds(settings.stallFloorMs)],
    ["--hang-timeout", seconds(settings.hangTimeoutMs)],
    ["--canary-interval", seconds(settings.canaryIntervalMs)],
  ].flat();
}
