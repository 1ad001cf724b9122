/**
 * Every reason word that health gives, with its meaning. The words are stable: logs, metrics, trailing metadata and alerts
 * are built on them. docs/health-model.md lists the same words, and a test compares the two.
 */
export const healthReasons = {
  "engine-starting": "The engine loads, or is ready by its own account and has not answered yet.",
  "start-overdue": "The engine has been starting for longer than --start-timeout.",
  ready: "The engine answers and its work moves.",
  "queue-full": "More requests wait than --ready-max-waiting allows.",
  "no-answer": "Neither an answer nor any progress came for longer than this engine usually takes.",
  "process-stopped": "As no-answer, and the system says that the engine's process is stopped (SIGSTOP, a debugger).",
  "no-progress": "The engine answers, but no request in flight moves.",
  "canary-unanswered": "The engine answers, but the token that health asked it for does not come.",
  "canary-failed": "The engine answers, but failed to generate the token that health asked it for.",
  hang: "Neither an answer nor any progress came for longer than --hang-timeout.",
  "engine-dead": "The engine's process ended, or its connection was lost.",
  "check-failed": "The engine says itself that it is broken.",
  paused: "The engine was told to pause.",
  "engine-closed": "The engine was closed.",
  "shutting-down": "The server was asked to stop and drains.",
  "main-loop-stalled": "The server's own main loop stands still (seen on the health port only).",
  "main-loop-hung":
    "The server's own main loop stands still for longer than --hang-timeout (seen on the health port only).",
} as const;

export type HealthReason = keyof typeof healthReasons;
