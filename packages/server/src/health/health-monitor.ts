import type { StatusTable } from "@tokenwire/health";
import type { Engine } from "../engine/engine.ts";
import type { EngineLoad } from "../engine/facts.ts";
import type { EngineState } from "../engine/state.ts";
import { type Clock, systemClock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import { askForToken, type CanaryAnswer } from "./ask-for-token.ts";
import { CanaryCollector } from "./evidence/canary.ts";
import { LifecycleCollector } from "./evidence/lifecycle.ts";
import { ProcessCollector } from "./evidence/process.ts";
import { ProcessActivityCollector } from "./evidence/process-activity.ts";
import { ProgressCollector } from "./evidence/progress.ts";
import { type ProcessSample, readProcess } from "./evidence/read-process.ts";
import { RoundTripCollector } from "./evidence/round-trip.ts";
import { SaturationCollector } from "./evidence/saturation.ts";
import type { Evidence } from "./evidence.ts";
import { type Standing, stand } from "./recovery.ts";
import { type ClassStatuses, type NameClass, statusOf } from "./status-of.ts";
import type { HealthThresholds } from "./thresholds.ts";
import { sentenceOf, type Verdict } from "./verdict.ts";
import { verdictOf } from "./verdict-of.ts";
import type { WorkLedger } from "./work-ledger.ts";

/** The part of an engine that health asks. */
export type MonitoredEngine = Pick<
  Engine,
  | "state"
  | "onState"
  | "progress"
  | "checkHealth"
  | "loads"
  | "facts"
  | "generate"
  | "abort"
  | "processIds"
  | "pausedBecause"
>;

export interface HealthMonitorOptions {
  /** Asked directly: its canaries do not pass through what counts requests. */
  readonly engine: MonitoredEngine;
  /** What clients handed to the engine. Written by {@link watchWork}. */
  readonly ledger: WorkLedger;
  readonly table: StatusTable;
  /** Every name with what it answers for. */
  readonly names: ReadonlyMap<string, NameClass>;
  readonly thresholds: HealthThresholds;
  readonly log: Pick<Log, "info" | "warn" | "error">;
  /** Called after each change of verdict or reason, with the statuses in the table. */
  readonly onTransition?: (verdict: Verdict) => void;
  /** Longest time that a Check waits for the engine before it answers the last verdict. Default 500. */
  readonly checkWaitMs?: number;
  /** Default: /proc. */
  readonly readProcess?: (pid: number) => ProcessSample | undefined;
  readonly clock?: Clock;
}

/** Each look reads one file per process. */
const maxProcesses = 64;

interface Question {
  answered: Promise<void>;
}

/**
 * Gathers evidence of an engine, judges it, and keeps the status table true.
 *
 * From {@link start} until {@link stop} it looks at the engine every interval and asks it one thing at a time: a round trip
 * through its loop, and a token when it is idle. What the engine says of its own state counts in the same turn. Each change
 * of verdict or reason is one log line. The deadline for an answer lies here alone: nothing is ever called off.
 *
 * Every name starts as `starting` is: liveness SERVING, all else NOT_SERVING.
 */
export class HealthMonitor {
  readonly #options: HealthMonitorOptions;
  readonly #clock: Clock;
  readonly #lifecycle: LifecycleCollector;
  readonly #process = new ProcessCollector();
  readonly #progress = new ProgressCollector();
  readonly #roundTrip = new RoundTripCollector();
  readonly #canary = new CanaryCollector();
  readonly #saturation = new SaturationCollector();
  readonly #activity = new ProcessActivityCollector();
  #standing: Standing;
  #statuses: ClassStatuses;
  #phase: "new" | "running" | "withdrawn" | "stopped" = "new";
  #unsubscribe: () => void = () => undefined;
  #cancelTick: () => void = () => undefined;
  #tickedAtMs = 0;
  /** The open question; a new object per question, so that a late answer is known for what it is. */
  #question: Question | undefined;
  #cancelCanary: (() => void) | undefined;
  #canGenerate = true;
  /** A sign of life since the last look. */
  #isAlive = false;
  #wasStopped = false;
  /** Why somebody here paused the engine; the engine's own word counts beside it. */
  #pausedBecause: string | undefined;
  #reportedPromptTokens = 0;

  /** Registers the names. Throws what the table throws for a name that it does not take. */
  constructor(options: HealthMonitorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#lifecycle = new LifecycleCollector(this.#clock.nowMs());
    this.#standing = { verdict: { t: "starting", reason: "engine-starting", forMs: 0 }, goodInARow: 0 };
    this.#statuses = statusOf(this.#standing.verdict);
    this.#publish();
  }

  /** What health answers now, and why. */
  get verdict(): Verdict {
    return this.#standing.verdict;
  }

  /** What is known now. */
  get evidence(): Evidence {
    const { ledger, engine } = this.#options;
    return {
      lifecycle: this.#lifecycle.evidence,
      death: this.#process.death,
      progress: {
        requestsInFlight: ledger.requestsInFlight,
        workSinceMs: ledger.workSinceMs,
        movedAtMs: latest(this.#progress.movedAtMs, this.#ledgerMovedAtMs),
        stepTimes: this.#progress.stepTimes,
      },
      prefill: ledger.prefill(this.#reportedPromptTokens, engine.progress?.receivedAtMs ?? 0),
      roundTrip: this.#roundTrip.evidence,
      canary: this.#canary.evidence,
      saturation: this.#saturation.evidence,
      activity: this.#activity.evidence,
    };
  }

  /** Begins to look and to listen. Called once. */
  start(): void {
    this.#phase = "running";
    this.#announce();
    const { engine } = this.#options;
    this.#tickedAtMs = this.#clock.nowMs();
    this.#unsubscribe = engine.onState((state) => this.#follow(state));
    this.#follow(engine.state);
    this.#scheduleTick();
  }

  /**
   * Asks the engine, or joins the question that is open, and resolves when it answered or `checkWaitMs` passed: the
   * verdict is then as fresh as it can be. Never rejects. Does nothing unless the engine is ready.
   */
  async refresh(): Promise<void> {
    if (this.#phase !== "running" || this.#options.engine.state.t !== "ready") return;
    const { answered } = this.#ask();
    let cancelWait: (() => void) | undefined;
    const waitedLongEnough = new Promise<void>((resolve) => {
      cancelWait = this.#clock.after(this.#options.checkWaitMs ?? 500, resolve);
    });
    await Promise.race([answered, waitedLongEnough]);
    cancelWait?.();
  }

  /** Says that the engine was told to pause, with a sentence why; undefined ends the pause. */
  pause(because: string | undefined): void {
    this.#pausedBecause = because;
    this.#lifecycle.pause(because ?? this.#options.engine.pausedBecause);
    if (this.#phase === "running") this.#judge(false);
  }

  /**
   * Latches the verdict "draining": nothing changes any more, and every watcher hears it. A liveness that has fallen stays
   * fallen. `because` says why. Never throws: a failure is logged, because a shutdown must not stop here.
   */
  withdraw(because: string): void {
    if (this.#phase === "withdrawn" || this.#phase === "stopped") return;
    this.#lifecycle.drain(because);
    const { liveness } = this.#statuses;
    try {
      this.#phase = "withdrawn";
      this.#endLooking();
      const verdict = verdictOf(this.evidence, this.#options.thresholds, this.#clock.nowMs());
      this.#standing = { verdict, goodInARow: 0 };
      const statuses = statusOf(verdict);
      this.#statuses = { ...statuses, liveness: liveness === "NOT_SERVING" ? liveness : statuses.liveness };
      this.#publish();
      this.#announce();
    } catch (error) {
      this.#options.log.error({ reason: "withdraw-failed", err: error }, "Health could not be withdrawn.");
    }
  }

  /** Stops asking and listening; the statuses stay as they are. Idempotent. */
  stop(): void {
    this.#phase = "stopped";
    this.#endLooking();
  }

  get #ledgerMovedAtMs(): number | undefined {
    // What came from an engine that was replaced says nothing of this one.
    const { movedAtMs } = this.#options.ledger;
    const { engine, sinceMs } = this.#lifecycle.evidence;
    return engine === "ready" && movedAtMs !== undefined && movedAtMs >= sinceMs ? movedAtMs : undefined;
  }

  #follow(state: EngineState): void {
    const nowMs = this.#clock.nowMs();
    // What was asked before belongs to the engine's earlier life; its answer says nothing of this one.
    this.#question = undefined;
    this.#cancelCanary?.();
    this.#cancelCanary = undefined;
    this.#canGenerate = true;
    this.#isAlive = false;
    this.#roundTrip.replaced();
    this.#canary.replaced();
    this.#progress.replaced(this.#options.engine.progress, nowMs);
    this.#lifecycle.engineState(state, nowMs);
    this.#process.engineState(state);
    this.#judge(false);
    if (state.t === "ready") this.#ask();
  }

  #ask(): Question {
    if (this.#question !== undefined) return this.#question;
    const question: Question = { answered: Promise.resolve() };
    this.#question = question;
    this.#roundTrip.asked(this.#clock.nowMs());
    question.answered = this.#settle(question);
    return question;
  }

  /** Waits for the engine's answer and takes it as evidence, unless it answers a question of the past. */
  async #settle(question: Question): Promise<void> {
    const { engine, ledger, thresholds } = this.#options;
    const askedAtMs = this.#clock.nowMs();
    const wasIdle = ledger.workSinceMs === undefined;
    let failure: string | undefined;
    try {
      await engine.checkHealth();
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    if (this.#question !== question) return;
    this.#question = undefined;
    this.#lifecycle.pause(this.#pausedBecause ?? engine.pausedBecause);
    const nowMs = this.#clock.nowMs();
    if (failure === undefined) {
      const isIdle = wasIdle && ledger.workSinceMs === undefined;
      const isTypical = isIdle && nowMs - askedAtMs < thresholds.stallFloorMs;
      this.#roundTrip.echoed(nowMs, isTypical);
      this.#isAlive = true;
    } else {
      this.#roundTrip.failed(failure);
    }
    this.#judge(false);
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#clock.after(this.#options.thresholds.intervalMs, () => {
      this.#scheduleTick();
      this.#tick();
    });
  }

  #tick(): void {
    const nowMs = this.#clock.nowMs();
    this.#forgiveLateness(nowMs);
    if (this.#options.engine.state.t === "ready") {
      this.#observe(nowMs);
      this.#askForToken(nowMs);
      this.#ask();
    }
    const isObservation = this.#isAlive;
    this.#isAlive = false;
    this.#judge(isObservation);
  }

  /** When this process itself stood still, an answer may lie unread: that time is nobody's silence. */
  #forgiveLateness(nowMs: number): void {
    const { intervalMs } = this.#options.thresholds;
    const lateMs = nowMs - this.#tickedAtMs - intervalMs;
    this.#tickedAtMs = nowMs;
    if (lateMs <= intervalMs / 2) return;
    for (const collector of [this.#roundTrip, this.#canary, this.#progress, this.#options.ledger]) {
      collector.forgive(lateMs, nowMs);
    }
  }

  #observe(nowMs: number): void {
    const { engine, ledger, thresholds, readProcess: read = readProcess } = this.#options;
    const samples = (engine.processIds ?? []).slice(0, maxProcesses).map(read);
    this.#activity.observe(
      samples.filter((sample) => sample !== undefined),
      nowMs,
    );
    this.#wasStopped ||= this.#activity.evidence.isStopped;
    const hasMoved = this.#progress.observe(engine.progress, nowMs, {
      workBeganAtMs: latest(ledger.workBeganAtMs, this.#canary.lastAskedAtMs),
      longestMs: thresholds.stallCeilingMs,
      wasStopped: this.#wasStopped,
    });
    if (hasMoved) {
      this.#wasStopped = false;
      this.#isAlive = true;
    }
    if (ledger.movedAtMs !== undefined && ledger.movedAtMs > (this.#canary.lastAtMs ?? 0)) this.#canary.disproved();
    const loads = this.#loads();
    this.#saturation.observe(loads);
    this.#reportedPromptTokens = loads.reduce((sum, load) => sum + load.waitingPromptTokens, 0);
  }

  #loads(): readonly EngineLoad[] {
    try {
      return this.#options.engine.loads();
    } catch {
      // Not ready after all; its state will say so.
      return [];
    }
  }

  /** Asks an engine that has been idle for long for a token. The first one comes soon after the start. */
  #askForToken(nowMs: number): void {
    const { engine, ledger, thresholds } = this.#options;
    const { canaryIntervalMs, stallFloorMs } = thresholds;
    const { askedAtMs, failure } = this.#canary.evidence;
    const isIdle = ledger.workSinceMs === undefined && askedAtMs === undefined;
    if (canaryIntervalMs === 0 || !this.#canGenerate || !isIdle) return;
    if (this.#roundTrip.evidence.echoedAtMs === undefined) return;
    const lastAtMs = latest(this.#canary.lastAtMs, this.#ledgerMovedAtMs);
    const pauseMs = failure === undefined ? canaryIntervalMs : Math.min(canaryIntervalMs, stallFloorMs);
    if (lastAtMs !== undefined && nowMs - lastAtMs < pauseMs) return;
    this.#canary.asked(nowMs);
    this.#cancelCanary = askForToken(engine, (answer) => this.#takeToken(answer));
  }

  #takeToken(answer: CanaryAnswer): void {
    this.#cancelCanary = undefined;
    const nowMs = this.#clock.nowMs();
    switch (answer.t) {
      case "token":
        this.#canary.answered(nowMs);
        this.#isAlive = true;
        break;
      case "nothing":
        this.#canary.answered(nowMs);
        break;
      case "impossible":
        this.#canary.answered(nowMs);
        this.#canGenerate = false;
        this.#options.log.info({ reason: "canary-off" }, `The engine cannot be asked for a token: ${answer.message}`);
        break;
      case "failed":
        this.#canary.failed(answer.message, nowMs);
        break;
    }
    this.#judge(false);
  }

  #judge(isObservation: boolean): void {
    if (this.#phase !== "running") return;
    const { thresholds } = this.#options;
    const before = this.#standing.verdict;
    const judged = verdictOf(this.evidence, thresholds, this.#clock.nowMs());
    this.#standing = stand(this.#standing, judged, isObservation, thresholds.recoveryCount);
    const { verdict } = this.#standing;
    if (verdict.t === before.t && verdict.reason === before.reason) return;
    this.#statuses = statusOf(verdict);
    this.#publish();
    this.#announce();
  }

  #publish(): void {
    for (const [name, of] of this.#options.names) this.#options.table.set(name, this.#statuses[of]);
  }

  #announce(): void {
    const { log, onTransition } = this.#options;
    const { verdict } = this.#standing;
    const isExpected = ["ready", "starting", "draining", "paused"].includes(verdict.t);
    const facts = { reason: verdict.reason, verdict: verdict.t, ...this.#statuses };
    log[isExpected ? "info" : "warn"](facts, sentenceOf(verdict));
    onTransition?.(verdict);
  }

  #endLooking(): void {
    this.#cancelTick();
    this.#unsubscribe();
    this.#cancelCanary?.();
    this.#cancelCanary = undefined;
    this.#question = undefined;
  }
}

function latest(first: number | undefined, second: number | undefined): number | undefined {
  return first === undefined || second === undefined ? (first ?? second) : Math.max(first, second);
}
