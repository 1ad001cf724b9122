import type { CanaryEvidence } from "./evidence/canary.ts";
import type { LifecycleEvidence } from "./evidence/lifecycle.ts";
import type { PrefillEvidence } from "./evidence/prefill.ts";
import type { EngineDeath } from "./evidence/process.ts";
import type { ProcessActivityEvidence } from "./evidence/process-activity.ts";
import type { ProgressEvidence } from "./evidence/progress.ts";
import type { RoundTripEvidence } from "./evidence/round-trip.ts";
import type { SaturationEvidence } from "./evidence/saturation.ts";

/**
 * Everything that health knows of the engine at one moment, each part from its own source. Times are on one clock.
 *
 * The server's own main loop is missing on purpose: it cannot judge itself, so the thread behind the health port does.
 */
export interface Evidence {
  readonly lifecycle: LifecycleEvidence;
  /** Undefined while the process lives, or is being started for the first time. */
  readonly death: EngineDeath | undefined;
  readonly progress: ProgressEvidence;
  readonly prefill: PrefillEvidence;
  readonly roundTrip: RoundTripEvidence;
  readonly canary: CanaryEvidence;
  readonly saturation: SaturationEvidence;
  readonly activity: ProcessActivityEvidence;
}
