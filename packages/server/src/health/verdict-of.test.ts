import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Evidence } from "./evidence.ts";
import { healthCheckOutcomeOf, statusOf } from "./status-of.ts";
import { healthThresholds } from "./thresholds.ts";
import { sentenceOf, type Verdict } from "./verdict.ts";
import { verdictOf } from "./verdict-of.ts";

const thresholds = healthThresholds();
const nowMs = 1_000_000;

type Changes = { readonly [Part in keyof Evidence]?: Partial<Evidence[Part]> };

/** An idle engine in good health, heard this moment, with changes. */
function evidence(changes: Changes = {}): Evidence {
  const { death, ...parts } = changes;
  return {
    lifecycle: {
      engine: "ready",
      sinceMs: 500_000,
      drainingBecause: undefined,
      pausedBecause: undefined,
      ...parts.lifecycle,
    },
    death: death === undefined ? undefined : { reason: "exit code 1", restartInMs: undefined, ...death },
    progress: {
      requestsInFlight: 0,
      workSinceMs: undefined,
      movedAtMs: undefined,
      stepTimes: { count: 100, meanMs: 20, deviationMs: 5 },
      ...parts.progress,
    },
    prefill: { pendingTokens: 0, tokensPerSecond: 100, ...parts.prefill },
    roundTrip: {
      askedAtMs: undefined,
      echoedAtMs: nowMs,
      failure: undefined,
      times: { count: 60, meanMs: 1, deviationMs: 0 },
      ...parts.roundTrip,
    },
    canary: { askedAtMs: undefined, failure: undefined, ...parts.canary },
    saturation: { waitingRequests: 0, ...parts.saturation },
    activity: { isStopped: false, isBurningCpu: false, ...parts.activity },
  };
}

/** Asked, and not heard for so long. */
function silent(forMs: number, changes: Changes = {}): Evidence {
  const roundTrip = { askedAtMs: nowMs - forMs, echoedAtMs: nowMs - forMs - 1 };
  return evidence({ ...changes, roundTrip: { ...roundTrip, ...changes.roundTrip } });
}

function busy(stillForMs: number, requestsInFlight = 2): Changes {
  return { progress: { requestsInFlight, workSinceMs: nowMs - 300_000, movedAtMs: nowMs - stillForMs } };
}

interface Example {
  readonly name: string;
  readonly given: Evidence;
  readonly verdict: string;
  readonly statuses: readonly [overall: boolean, readiness: boolean, liveness: boolean];
  readonly healthCheck: string;
}

const up: Example["statuses"] = [true, true, true];
const notReady: Example["statuses"] = [true, false, true];
const onlyAlive: Example["statuses"] = [false, false, true];
const down: Example["statuses"] = [false, false, false];

const examples: readonly Example[] = [
  {
    name: "a loading engine",
    given: evidence({ lifecycle: { engine: "starting" } }),
    verdict: "starting engine-starting",
    statuses: onlyAlive,
    healthCheck: "unavailable",
  },
  {
    name: "an engine that loads beyond the start timeout",
    given: evidence({ lifecycle: { engine: "starting", sinceMs: nowMs - 600_000 } }),
    verdict: "overdue start-overdue",
    statuses: down,
    healthCheck: "unavailable",
  },
  {
    name: "an engine that is ready and was not heard yet",
    given: silent(30_000, { roundTrip: { echoedAtMs: undefined } }),
    verdict: "starting engine-starting",
    statuses: onlyAlive,
    healthCheck: "unavailable",
  },
  { name: "an idle engine", given: evidence(), verdict: "ready ready", statuses: up, healthCheck: "healthy" },
  {
    name: "a busy engine that has not answered for long, but steps",
    given: silent(100_000, busy(100)),
    verdict: "ready ready",
    statuses: up,
    healthCheck: "healthy",
  },
  {
    name: "a busy engine within its first steps",
    given: silent(6000, { progress: { ...busy(6000).progress, stepTimes: { count: 2, meanMs: 1, deviationMs: 0 } } }),
    verdict: "ready ready",
    statuses: up,
    healthCheck: "healthy",
  },
  {
    name: "a busy engine with a long prompt before it",
    given: silent(14_000, { ...busy(14_000), prefill: { pendingTokens: 1000 } }),
    verdict: "ready ready",
    statuses: up,
    healthCheck: "healthy",
  },
  {
    name: "the same beyond the time for the prompt",
    given: silent(16_000, { ...busy(16_000), prefill: { pendingTokens: 1000 } }),
    verdict: "stalled no-answer",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "an idle engine that is silent for the stall floor",
    given: silent(5000),
    verdict: "stalled no-answer",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "a stopped process",
    given: silent(5000, { activity: { isStopped: true } }),
    verdict: "stalled process-stopped",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "an engine that answers although no request has moved for the ceiling",
    given: evidence(busy(60_000)),
    verdict: "stalled no-progress",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "an engine that answers although no request has moved for less than that",
    given: evidence(busy(59_999)),
    verdict: "ready ready",
    statuses: up,
    healthCheck: "healthy",
  },
  {
    name: "a canary without an answer",
    given: evidence({ canary: { askedAtMs: nowMs - 5000 } }),
    verdict: "stalled canary-unanswered",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "a canary that failed",
    given: evidence({ canary: { failure: "no memory" } }),
    verdict: "stalled canary-failed",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "an engine that is silent for the hang timeout",
    given: silent(120_000),
    verdict: "hung hang",
    statuses: down,
    healthCheck: "unhealthy",
  },
  {
    name: "one that burns CPU meanwhile",
    given: silent(239_999, { activity: { isBurningCpu: true } }),
    verdict: "stalled no-answer",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "one that burns CPU for twice as long",
    given: silent(240_000, { activity: { isBurningCpu: true } }),
    verdict: "hung hang",
    statuses: down,
    healthCheck: "unhealthy",
  },
  {
    name: "an engine whose check failed",
    given: evidence({ roundTrip: { failure: "EngineDeadError" } }),
    verdict: "dead check-failed",
    statuses: down,
    healthCheck: "unavailable",
  },
  {
    name: "a dead engine",
    given: evidence({ death: { restartInMs: 500 } }),
    verdict: "dead engine-dead",
    statuses: down,
    healthCheck: "unavailable",
  },
  {
    name: "a paused engine whose requests stand still",
    given: evidence({ ...busy(90_000), lifecycle: { pausedBecause: "by an operator." } }),
    verdict: "paused paused",
    statuses: notReady,
    healthCheck: "unhealthy",
  },
  {
    name: "a draining server with a dead engine",
    given: evidence({ death: {}, lifecycle: { drainingBecause: "received SIGTERM" } }),
    verdict: "draining shutting-down",
    statuses: onlyAlive,
    healthCheck: "unavailable",
  },
  {
    name: "a closed engine",
    given: evidence({ lifecycle: { engine: "stopped" } }),
    verdict: "draining engine-closed",
    statuses: onlyAlive,
    healthCheck: "unavailable",
  },
  {
    name: "any number of waiting requests without a limit",
    given: evidence({ saturation: { waitingRequests: 10_000 } }),
    verdict: "ready ready",
    statuses: up,
    healthCheck: "healthy",
  },
];

describe("verdictOf", () => {
  for (const { name, given, verdict: expected, statuses, healthCheck } of examples) {
    it(`of ${name} is ${expected}`, () => {
      const verdict = verdictOf(given, thresholds, nowMs);
      assert.equal(`${verdict.t} ${verdict.reason}`, expected);
      const { overall, readiness, liveness } = statusOf(verdict);
      assert.deepEqual(
        [overall, readiness, liveness].map((status) => status === "SERVING"),
        statuses,
      );
      assert.equal(healthCheckOutcomeOf(verdict), healthCheck);
      assert.match(sentenceOf(verdict), /^[A-Z0-9].*\S$/);
    });
  }

  it("of more waiting requests than the limit is saturated", () => {
    const limited = healthThresholds({ readyMaxWaiting: 4 });
    assert.equal(verdictOf(evidence({ saturation: { waitingRequests: 4 } }), limited, nowMs).t, "ready");
    const verdict = verdictOf(evidence({ saturation: { waitingRequests: 5 } }), limited, nowMs);
    assert.deepEqual(verdict, { t: "saturated", reason: "queue-full", waitingRequests: 5, limit: 4 });
    assert.deepEqual(statusOf(verdict), { overall: "SERVING", readiness: "NOT_SERVING", liveness: "SERVING" });
    assert.equal(healthCheckOutcomeOf(verdict), "healthy");
  });

  it("only gets worse while time passes and nothing is heard", () => {
    const past = fc.integer({ min: 0, max: nowMs });
    const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
    const waiting = fc
      .record({
        askedAtMs: past,
        echoedAtMs: past,
        workSinceMs: some(past),
        movedAtMs: some(past),
        canaryAskedAtMs: some(past),
        meanMs: fc.integer({ min: 1, max: 40_000 }),
        deviationMs: fc.integer({ min: 0, max: 20_000 }),
        count: fc.integer({ min: 0, max: 128 }),
        pendingTokens: fc.integer({ min: 0, max: 100_000 }),
        isStopped: fc.boolean(),
        isBurningCpu: fc.boolean(),
      })
      .map(({ askedAtMs, echoedAtMs, workSinceMs, movedAtMs, canaryAskedAtMs, ...rest }) => {
        const { pendingTokens, isStopped, isBurningCpu, ...stepTimes } = rest;
        return evidence({
          roundTrip: { askedAtMs, echoedAtMs },
          progress: { requestsInFlight: workSinceMs === undefined ? 0 : 1, workSinceMs, movedAtMs, stepTimes },
          canary: { askedAtMs: canaryAskedAtMs },
          prefill: { pendingTokens },
          activity: { isStopped, isBurningCpu },
        });
      });
    const order: readonly Verdict["t"][] = ["ready", "stalled", "hung"];
    fc.assert(
      fc.property(waiting, fc.array(fc.integer({ min: 0, max: 60_000 }), { maxLength: 20 }), (given, steps) => {
        let atMs = nowMs;
        let worst = 0;
        for (const step of steps) {
          atMs += step;
          const degree = order.indexOf(verdictOf(given, thresholds, atMs).t);
          assert.ok(degree >= worst, `from ${order[worst]} to ${order[degree]}`);
          worst = degree;
        }
      }),
    );
  });
});
