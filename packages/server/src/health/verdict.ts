import type { HealthReason } from "./reasons.ts";

/** What all evidence comes to. `reason` is one of the stable words; the other fields are the facts behind it. */
export type Verdict =
  /** Loading, or ready by its own account and not heard yet. */
  | { readonly t: "starting"; readonly reason: Extract<HealthReason, "engine-starting">; readonly forMs: number }
  /** Starting for so long that a restart is the better hope. */
  | { readonly t: "overdue"; readonly reason: Extract<HealthReason, "start-overdue">; readonly forMs: number }
  /** Answers and moves; a busy engine is ready. */
  | { readonly t: "ready"; readonly reason: Extract<HealthReason, "ready"> }
  | {
      readonly t: "saturated";
      readonly reason: Extract<HealthReason, "queue-full">;
      readonly waitingRequests: number;
      readonly limit: number;
    }
  | Stalled
  | {
      readonly t: "hung";
      readonly reason: Extract<HealthReason, "hang">;
      readonly forMs: number;
      readonly isProcessStopped: boolean;
    }
  | {
      readonly t: "dead";
      readonly reason: Extract<HealthReason, "engine-dead">;
      readonly detail: string;
      readonly restartInMs: number | undefined;
    }
  | { readonly t: "dead"; readonly reason: Extract<HealthReason, "check-failed">; readonly detail: string }
  | { readonly t: "paused"; readonly reason: Extract<HealthReason, "paused">; readonly detail: string }
  | { readonly t: "draining"; readonly reason: Extract<HealthReason, "shutting-down">; readonly detail: string }
  | { readonly t: "draining"; readonly reason: Extract<HealthReason, "engine-closed"> };

/** No progress or no answer, beyond suspicion and short of a hang. */
export type Stalled =
  | {
      readonly t: "stalled";
      readonly reason: Extract<HealthReason, "no-answer" | "process-stopped" | "no-progress" | "canary-unanswered">;
      readonly forMs: number;
      readonly requestsInFlight: number;
    }
  | { readonly t: "stalled"; readonly reason: Extract<HealthReason, "canary-failed">; readonly detail: string };

/** The verdict for people: one or two sentences. */
export function sentenceOf(verdict: Verdict): string {
  switch (verdict.t) {
    case "starting":
      return "The engine is starting.";
    case "overdue":
      return `The engine has been starting for ${seconds(verdict.forMs)}.`;
    case "ready":
      return "The engine is ready.";
    case "saturated":
      return `${verdict.waitingRequests} requests wait for the engine, more than ${verdict.limit}.`;
    case "stalled":
      return stalledSentence(verdict);
    case "hung":
      return `The engine hangs: neither an answer nor progress for ${seconds(verdict.forMs)}.${
        verdict.isProcessStopped ? " Its process is stopped." : ""
      }`;
    case "dead":
      return deadSentence(verdict);
    case "paused":
      return `The engine is paused: ${verdict.detail}`;
    case "draining":
      return verdict.reason === "engine-closed" ? "The engine is closed." : `The server shuts down: ${verdict.detail}`;
  }
}

function stalledSentence(verdict: Stalled): string {
  if (verdict.reason === "canary-failed") return `The engine failed to generate a token: ${verdict.detail}`;
  const forTime = seconds(verdict.forMs);
  const inFlight = `${verdict.requestsInFlight} ${verdict.requestsInFlight === 1 ? "request" : "requests"} in flight`;
  switch (verdict.reason) {
    case "no-answer":
      return `The engine has neither answered nor made progress for ${forTime}, with ${inFlight}.`;
    case "process-stopped":
      return `The engine's process is stopped; it has not answered for ${forTime}, with ${inFlight}.`;
    case "no-progress":
      return `The engine answers, but no request has moved for ${forTime}, with ${inFlight}.`;
    case "canary-unanswered":
      return `The engine answers, but has not generated the token that health asked for ${forTime} ago.`;
  }
}

function deadSentence(verdict: Extract<Verdict, { t: "dead" }>): string {
  if (verdict.reason === "check-failed") return `The engine's health check failed: ${verdict.detail}`;
  const { detail, restartInMs } = verdict;
  return `The engine is dead: ${detail}.${restartInMs === undefined ? "" : ` It restarts in ${restartInMs} ms.`}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
