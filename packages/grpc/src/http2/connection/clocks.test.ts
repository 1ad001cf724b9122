import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Budget } from "./budget.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { Lifetime } from "./lifetime.ts";
import { PingPolice } from "./ping-police.ts";
import { areTrailersWellFormed, readRequestFields } from "./request-fields.ts";
import { TurnQueue } from "./turn-queue.ts";

const never = Number.POSITIVE_INFINITY;

describe("a budget", () => {
  it("never lets more through than its burst and what time and work earned", () => {
    const step = fc.record({ waitMs: fc.nat(50), cost: fc.nat(20), earn: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const budget = new Budget(100, 1_000, 0);
        let nowMs = 0;
        let spent = 0;
        let earned = 0;
        for (const { waitMs, cost, earn } of steps) {
          nowMs += waitMs;
          if (!budget.spend(cost, nowMs)) return;
          spent += cost;
          budget.earn(earn);
          earned += earn;
          assert.ok(spent <= 100 + nowMs + earned);
        }
      }),
    );
  });

  it("is full again after a while", () => {
    const budget = new Budget(10, 10, 0);
    assert.equal(budget.spend(10, 0), true);
    assert.equal(budget.spend(1, 50), false);
    assert.equal(budget.spend(9, 5_000), true);
  });
});

describe("a connection's age", () => {
  it("differs by a tenth at most", () => {
    const rules = {
      keepaliveTimeMs: never,
      keepaliveTimeoutMs: never,
      maxConnectionIdleMs: never,
      maxConnectionAgeMs: 1_000,
      maxConnectionAgeGraceMs: never,
    };
    for (const [random, ms] of [
      [0, 900],
      [0.5, 1_000],
      [0.999, 1_100],
    ] as const) {
      const lifetime = new Lifetime(rules, 0, random);
      assert.equal(lifetime.check(ms - 1, 1), "nothing");
      assert.equal(lifetime.check(ms, 1), "retire");
      assert.equal(lifetime.check(ms * 100, 1), "nothing");
    }
  });
});

describe("pings without calls", () => {
  it("are held to two hours where they are not permitted", () => {
    const police = new PingPolice({ minPingIntervalMs: 10_000, permitPingsWithoutCalls: false, maxPingStrikes: 1 });
    assert.equal(police.allows(0, false), true);
    assert.equal(police.allows(3_600_000, false), true);
    assert.equal(police.allows(2 * 3_600_000, false), false);
    police.forgive();
    assert.equal(police.allows(2 * 3_600_000, true), true);
  });
});

describe("streams of the past", () => {
  it("are remembered with who ended them, as many as fit", () => {
    const closed = new ClosedStreams();
    for (let id = 1; id < 1_001; id += 2) closed.add(id, id % 4 === 1);
    assert.deepEqual(
      [999, 997, 1, 1_001].map((id) => closed.how(id)),
      ["by-peer", "by-us", "forgotten", "forgotten"],
    );
  });
});

describe("a turn queue", () => {
  it("is first in, first out, at any length", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3_000, max: 3_000 }), { maxLength: 20 }), (steps) => {
        const queue = new TurnQueue<number>();
        const model: number[] = [];
        let next = 0;
        for (const step of steps) {
          for (let n = 0; n < step; n += 1) {
            queue.push(next);
            model.push(next);
            next += 1;
          }
          for (let n = 0; n > step; n -= 1) assert.equal(queue.shift(), model.shift());
          assert.equal(queue.size, model.length);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("request fields", () => {
  const good = [":method", "POST", ":scheme", "http", ":path", "/a", ":authority", "h"];

  it("are read with their target and length", () => {
    assert.deepEqual(readRequestFields([...good, "content-length", "12", "a", "b"]), {
      method: "POST",
      scheme: "http",
      path: "/a",
      authority: "h",
      contentLength: 12,
      fields: ["content-length", "12", "a", "b"],
      note: undefined,
    });
    assert.equal(readRequestFields([":method", "CONNECT", ":authority", "h"])?.path, "");
  });

  // grpc-go refuses a request without both; RFC 9113 section 8.3.1 does not ask for one, and nothing here depends on it.
  it("name one authority, or none, and Host stands in for it", () => {
    const bare = good.slice(0, 6);
    const authorityOf = (more: readonly string[]) => readRequestFields([...bare, ...more])?.authority;
    assert.deepEqual(
      [[], [":authority", ""], [":authority", "a"], ["host", "b"], [":authority", "a", "host", "b"]].map(authorityOf),
      ["", "", "a", "b", "a"],
    );
    assert.deepEqual(readRequestFields([...bare, "x", "1", "host", "b", "y", "2"])?.fields, ["x", "1", "y", "2"]);
  });

  it("are refused when they are malformed (RFC 9113 section 8)", () => {
    const bad: readonly (readonly string[])[] = [
      [],
      good.slice(2),
      good.slice(0, 4),
      [...good, ":path", "/b"],
      ["a", "b", ...good],
      [...good, ":status", "200"],
      [...good, "Upper", "x"],
      [...good, "", "x"],
      [...good, "a b", "x"],
      [...good, "connection", "close"],
      [...good, "transfer-encoding", "chunked"],
      [...good, "te", "gzip"],
      [...good, "a", "new\nline"],
      [...good, "a", "nul\0"],
      [...good, "a", " padded"],
      [...good, ":authority", "h"],
      [":path", "", ...good],
      [...good, "host", "a", "host", "a"],
      [...good, "content-length", "-1"],
      [...good, "content-length", "1", "content-length", "1"],
      [":method", "CONNECT", ":path", "/a"],
      [":method", "POST\r\n", ":scheme", "http", ":path", "/"],
    ];
    for (const list of bad) assert.equal(readRequestFields(list), undefined, list.join());
    assert.equal(areTrailersWellFormed(["a", "b"]), true);
    assert.equal(areTrailersWellFormed([":path", "/"]), false);
  });
});
