import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Standing, stand } from "./recovery.ts";
import type { Verdict } from "./verdict.ts";

const ready: Verdict = { t: "ready", reason: "ready" };
const saturated: Verdict = { t: "saturated", reason: "queue-full", waitingRequests: 5, limit: 4 };
const stalled: Verdict = { t: "stalled", reason: "no-answer", forMs: 5000, requestsInFlight: 1 };
const hung: Verdict = { t: "hung", reason: "hang", forMs: 120_000, isProcessStopped: false };
const failed: Verdict = { t: "dead", reason: "check-failed", detail: "broken" };
const dead: Verdict = { t: "dead", reason: "engine-dead", detail: "exit code 1", restartInMs: undefined };
const starting: Verdict = { t: "starting", reason: "engine-starting", forMs: 0 };
const worse: readonly Verdict[] = [ready, saturated, stalled, hung, failed];

function after(first: Verdict, ...judgements: readonly (readonly [Verdict, boolean])[]): Standing {
  const begin: Standing = { verdict: first, goodInARow: 0 };
  return judgements.reduce((standing, [judged, isObservation]) => stand(standing, judged, isObservation, 3), begin);
}

describe("stand", () => {
  it("lets what is worse stand at once", () => {
    for (const [index, from] of worse.entries()) {
      for (const to of worse.slice(index + 1)) assert.equal(after(from, [to, false]).verdict, to);
    }
  });

  it("lets what is better stand after so many good observations in a row", () => {
    assert.equal(after(hung, [ready, true], [ready, true]).verdict, hung);
    assert.equal(after(hung, [ready, true], [ready, true], [ready, true]).verdict, ready);
    assert.equal(after(hung, [ready, true], [hung, true], [ready, true], [ready, true]).verdict, hung);
    assert.equal(after(hung, [ready, true], [stalled, true], [stalled, true]).verdict, stalled);
  });

  it("counts a judgement without a new sign of life neither for nor against", () => {
    assert.equal(after(stalled, [ready, true], [ready, false], [ready, false], [ready, true]).verdict, stalled);
    assert.equal(after(stalled, [ready, true], [ready, false], [ready, true], [ready, true]).verdict, ready);
  });

  it("takes another reason for the same only with a new sign of life", () => {
    const other: Verdict = { t: "stalled", reason: "canary-unanswered", forMs: 6000, requestsInFlight: 0 };
    assert.equal(after(stalled, [other, false]).verdict, stalled);
    assert.equal(after(stalled, [other, true]).verdict, other);
  });

  it("takes births and deaths as they come", () => {
    assert.equal(after(hung, [dead, false]).verdict, dead);
    assert.equal(after(dead, [starting, false]).verdict, starting);
    assert.equal(after(starting, [ready, false]).verdict, ready);
  });

  it("changes at most once per so many observations for the better, whatever comes", () => {
    const judgements = fc.array(fc.tuple(fc.constantFrom(...worse), fc.boolean()));
    fc.assert(
      fc.property(judgements, fc.integer({ min: 1, max: 5 }), (all, recoveryCount) => {
        let standing: Standing = { verdict: ready, goodInARow: 0 };
        let observations = 0;
        for (const [judged, isObservation] of all) {
          const next = stand(standing, judged, isObservation, recoveryCount);
          observations += isObservation ? 1 : 0;
          if (worse.indexOf(next.verdict) < worse.indexOf(standing.verdict)) {
            assert.ok(observations >= recoveryCount);
            observations = 0;
          }
          standing = next;
        }
      }),
    );
  });
});
