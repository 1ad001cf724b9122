import type { RegisteredStatus } from "@tokenwire/health";
import type { Verdict } from "./verdict.ts";

/** What a name answers for: the server as a whole, whether to send traffic, whether to leave the process alone. */
export type NameClass = "overall" | "readiness" | "liveness";

export type ClassStatuses = Readonly<Record<NameClass, RegisteredStatus>>;

/** What the HealthCheck RPC of the engine's service answers: OK with `healthy` true or false, or UNAVAILABLE. */
export type HealthCheckOutcome = "healthy" | "unhealthy" | "unavailable";

interface Row extends ClassStatuses {
  readonly healthCheck: HealthCheckOutcome;
}

const yes = "SERVING";
const no = "NOT_SERVING";

/** The whole policy of who hears what. docs/health-model.md shows it to operators. */
const table: Readonly<Record<Verdict["t"], Row>> = {
  starting: { overall: no, readiness: no, liveness: yes, healthCheck: "unavailable" },
  overdue: { overall: no, readiness: no, liveness: no, healthCheck: "unavailable" },
  ready: { overall: yes, readiness: yes, liveness: yes, healthCheck: "healthy" },
  saturated: { overall: yes, readiness: no, liveness: yes, healthCheck: "healthy" },
  stalled: { overall: yes, readiness: no, liveness: yes, healthCheck: "unhealthy" },
  hung: { overall: no, readiness: no, liveness: no, healthCheck: "unhealthy" },
  dead: { overall: no, readiness: no, liveness: no, healthCheck: "unavailable" },
  paused: { overall: yes, readiness: no, liveness: yes, healthCheck: "unhealthy" },
  draining: { overall: no, readiness: no, liveness: yes, healthCheck: "unavailable" },
};

/** What each class of names answers. */
export function statusOf(verdict: Verdict): ClassStatuses {
  const { overall, readiness, liveness } = table[verdict.t];
  return { overall, readiness, liveness };
}

export function healthCheckOutcomeOf(verdict: Verdict): HealthCheckOutcome {
  return table[verdict.t].healthCheck;
}
