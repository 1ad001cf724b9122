/**
 * How the `serve` process ends.
 *
 * - `ok`: it was asked to stop and did.
 * - `startFailed`: the model could not be loaded or the address not be bound; trying again will not help by itself.
 * - `engineDied`: the engine died for good while serving; a restart (by Kubernetes) is the cure. EX_SOFTWARE of
 *   sysexits.h, so that it is told apart from a failed start and from a death by signal.
 */
export const exitCode = { ok: 0, startFailed: 1, engineDied: 70 } as const;
