/**
 * Exit codes of `tokenwire generate`, and USAGE for every command but `probe`, which has grpc_health_probe's
 * (probe-flags.ts). How `serve` ends otherwise is in lifecycle/exit-code.ts.
 */
export const ExitCode = {
  OK: 0,
  /** It began and failed: no server, or one that answered an error. */
  FAILED: 1,
  /** Wrong flag, value or model: nothing was begun. */
  USAGE: 2,
  /** `generate` was interrupted: 128 + SIGINT, as shells have it. */
  INTERRUPTED: 130,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
