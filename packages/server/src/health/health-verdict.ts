/** Why health answers as it does: stable words for logs, metrics and tests. */
export type HealthReason =
  /** Not ready yet, for the first time or again after a crash. */
  | "engine-starting"
  | "ready"
  /** Ready by its own account, but its health check failed. */
  | "check-failed"
  /** Ready by its own account, but neither its health check nor its progress is heard. */
  | "no-answer"
  | "engine-dead"
  | "engine-closed"
  /** This server withdraws; nothing changes any more. */
  | "shutting-down";

/** What all evidence comes to. */
export interface HealthVerdict {
  readonly serving: boolean;
  readonly reason: HealthReason;
  /** For people: what is the matter, as a sentence. */
  readonly sentence: string;
}
