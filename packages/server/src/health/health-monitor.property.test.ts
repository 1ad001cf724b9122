import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StatusTable } from "@tokenwire/health";
import fc from "fast-check";
import { CollectingSink } from "../engine/testing/collecting-sink.ts";
import { greedySampling } from "../engine/testing/sampling.ts";
import { ManualClock, settled } from "../operations/testing/manual-clock.ts";
import { HealthMonitor } from "./health-monitor.ts";
import { healthNames } from "./names.ts";
import { SimulatedEngine } from "./testing/simulated-engine.ts";
import { type HealthThresholds, healthThresholds } from "./thresholds.ts";
import type { Verdict } from "./verdict.ts";
import { watchWork } from "./watch-work.ts";
import { WorkLedger } from "./work-ledger.ts";

interface Change {
  readonly atMs: number;
  readonly status: string;
}

/** The whole monitor over an engine with time, and what watchers of two names heard. */
class Simulation {
  readonly clock: ManualClock = new ManualClock();
  readonly engine: SimulatedEngine = new SimulatedEngine(this.clock);
  readonly ledger: WorkLedger = new WorkLedger();
  readonly table: StatusTable = new StatusTable();
  readonly thresholds: HealthThresholds;
  readonly monitor: HealthMonitor;
  readonly readiness: Change[] = [];
  readonly liveness: Change[] = [];
  readonly verdicts: Verdict[] = [];
  readonly #watched = watchWork(this.engine, this.ledger, this.clock);
  #requests = 0;

  constructor(given: Partial<HealthThresholds> = {}) {
    this.thresholds = healthThresholds(given);
    this.monitor = new HealthMonitor({
      engine: this.engine,
      ledger: this.ledger,
      table: this.table,
      names: healthNames([]),
      thresholds: this.thresholds,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onTransition: (verdict) => this.verdicts.push(verdict),
      readProcess: () => undefined,
      clock: this.clock,
    });
    this.monitor.start();
    this.engine.become({ t: "ready" });
    for (const name of ["readiness", "liveness"] as const) {
      this.table.watch(name, (status) => this[name].push({ atMs: this.clock.nowMs(), status }));
    }
  }

  request(maxTokens: number): void {
    if (this.engine.state.t !== "ready") return;
    const prompt = { kind: "tokens", tokenIds: Uint32Array.of(1) } as const;
    const id = `r${++this.#requests}`;
    this.#watched.generate({ id, prompt, sampling: greedySampling({ maxTokens }) }, new CollectingSink(1));
  }
}

suite("the whole of health, over random histories", () => {
  test("a busy engine with slow and regular steps never leaves SERVING once its steps are known", async () => {
    const stepMs = fc.oneof(fc.double({ min: 10, max: 1000, noNaN: true }), fc.integer({ min: 1000, max: 30_000 }));
    const jitter = fc.array(fc.double({ min: -0.15, max: 0.15, noNaN: true }), { minLength: 4, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(stepMs, jitter, async (usualMs, jitters) => {
        const simulation = new Simulation();
        const { clock, engine, readiness } = simulation;
        await settled();
        engine.stepMs = usualMs;
        simulation.request(1_000_000);
        // Warm-up: the first steps, and what a recovery from a wrong first suspicion takes.
        await clock.advanceSettling(6 * usualMs + 5000);
        assert.equal(readiness.at(-1)?.status, "SERVING");
        const changes = readiness.length;
        for (const share of jitters) {
          engine.stepMs = usualMs * (1 + share);
          await clock.advanceSettling(Math.max(1500, usualMs));
        }
        await clock.advanceSettling(3 * usualMs);
        assert.equal(readiness.length, changes, `left SERVING with steps of ${usualMs} ms`);
        assert.equal(simulation.liveness.at(-1)?.status, "SERVING");
        simulation.monitor.stop();
      }),
      { numRuns: 40 },
    );
  });

  const event = fc.oneof(
    fc.record({ t: fc.constant("request" as const), tokens: fc.integer({ min: 1, max: 300 }) }),
    fc.record({ t: fc.constant("freeze" as const), forMs: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ t: fc.constant("die" as const), forMs: fc.integer({ min: 1, max: 20_000 }) }),
    fc.record({ t: fc.constant("late" as const), forMs: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ t: fc.constant("pass" as const), forMs: fc.integer({ min: 1, max: 60_000 }) }),
  );
  const history = fc.array(event, { maxLength: 12 });

  /** Plays the history and answers how often the truth changed. `look` is called every half second or more often. */
  async function play(
    simulation: Simulation,
    events: readonly (typeof event extends fc.Arbitrary<infer Event> ? Event : never)[],
    look: () => void,
  ): Promise<number> {
    const { clock, engine } = simulation;
    let trueChanges = 1;
    const pass = async (forMs: number): Promise<void> => {
      for (let leftMs = forMs; leftMs > 0; leftMs -= 500) {
        await clock.advanceSettling(Math.min(500, leftMs));
        look();
      }
    };
    await settled();
    for (const happening of events) {
      switch (happening.t) {
        case "request":
          simulation.request(happening.tokens);
          break;
        case "freeze":
          trueChanges += 2;
          engine.freeze();
          await pass(happening.forMs);
          engine.thaw();
          break;
        case "die":
          trueChanges += 2;
          engine.die();
          await pass(happening.forMs / 2);
          engine.become({ t: "starting", progress: 0 });
          await pass(happening.forMs / 2);
          engine.become({ t: "ready" });
          break;
        case "late":
          await clock.freeze(happening.forMs);
          look();
          break;
        case "pass":
          await pass(happening.forMs);
          break;
      }
      await settled();
    }
    await pass(10_000);
    return trueChanges;
  }

  test("the status changes only with the truth, liveness goes only after the hang timeout, and all recovers", async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 1, max: 4 }), async (events, recoveryCount) => {
        const simulation = new Simulation({ recoveryCount });
        const { engine, liveness, clock, thresholds } = simulation;
        let seen = 0;
        const trueChanges = await play(simulation, events, () => {
          for (const { status, atMs } of liveness.slice(seen)) {
            if (status !== "NOT_SERVING" || engine.state.t !== "ready") continue;
            const silentMs = atMs - engine.lastSignMs;
            assert.ok(silentMs >= thresholds.hangTimeoutMs, `liveness went after ${silentMs} ms of silence`);
          }
          seen = liveness.length;
        });
        assert.equal(simulation.monitor.verdict.t, "ready", `at ${clock.nowMs()}`);
        for (const changes of [simulation.readiness, liveness]) {
          assert.ok(changes.length <= trueChanges + 1, `${changes.length} changes for ${trueChanges}`);
          assert.equal(changes.at(-1)?.status, "SERVING");
        }
        simulation.monitor.stop();
      }),
      { numRuns: 60 },
    );
  });

  test("dead is dead until a new engine starts, and while it is dead nothing is SERVING", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (events) => {
        const simulation = new Simulation();
        const { engine, table, monitor } = simulation;
        await play(simulation, events, () => {
          if (engine.state.t !== "dead") return;
          assert.equal(monitor.verdict.t, "dead");
          assert.deepEqual(new Set(table.list().values()), new Set(["NOT_SERVING"]));
        });
        monitor.stop();
      }),
      { numRuns: 30 },
    );
  });

  test("a frozen engine is found within the floor and two looks when idle, and hung at the hang timeout", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 100, max: 3000 }),
        fc.integer({ min: 1000, max: 20_000 }),
        fc.integer({ min: 0, max: 5000 }),
        async (intervalMs, stallFloorMs, idleMs) => {
          const simulation = new Simulation({ intervalMs, stallFloorMs, canaryIntervalMs: 0 });
          const { clock, engine, readiness, liveness, thresholds } = simulation;
          await clock.advanceSettling(10 + idleMs);
          engine.freeze();
          const frozenAtMs = clock.nowMs();
          await clock.advanceSettling(thresholds.hangTimeoutMs + 2 * intervalMs);
          const found = (readiness.at(-1)?.atMs ?? 0) - frozenAtMs;
          const hung = (liveness.at(-1)?.atMs ?? 0) - frozenAtMs;
          // The question that met the frozen engine may be a look older than the freeze.
          assert.ok(found >= stallFloorMs - intervalMs && found <= stallFloorMs + 2 * intervalMs, `stalled: ${found}`);
          assert.ok(hung >= thresholds.hangTimeoutMs - intervalMs, `hung: ${hung}`);
          assert.equal(liveness.at(-1)?.status, "NOT_SERVING");
          simulation.monitor.stop();
        },
      ),
      { numRuns: 30 },
    );
  });
});
