import type { StatusTable } from "@tokenwire/health";
import type { Engine } from "../engine/engine.ts";
import type { EngineState } from "../engine/state.ts";
import { type Clock, systemClock } from "../operations/clock.ts";
import type { Log } from "../operations/log.ts";
import type { HealthVerdict } from "./health-verdict.ts";

export interface EngineHealthOptions {
  readonly engine: Pick<Engine, "state" | "onState" | "progress" | "checkHealth">;
  readonly table: StatusTable;
  /** Names that answer for the engine; the empty name always does. */
  readonly services: readonly string[];
  readonly log: Pick<Log, "info" | "warn" | "error">;
  /** Time between health checks when nobody asks. Default 1000. */
  readonly intervalMs?: number;
  /**
   * A check that is unanswered for so long, while no progress is heard either, is a hang. Default 30,000: engines stall
   * for seconds in honest work. A hang is found at most `intervalMs` later.
   */
  readonly silenceMs?: number;
  /** Longest time that a Check waits for the engine before it answers the last verdict. Default 500. */
  readonly checkWaitMs?: number;
  readonly clock?: Clock;
}

const maxTimerMs = 2 ** 31 - 1;

/** A health check that the engine was asked for and has not answered. */
interface PendingCheck {
  readonly answered: Promise<void>;
  /** Last moment at which the engine was heard, or the question asked; on the clock's scale. */
  heardAtMs: number;
}

/**
 * Joins an engine to a status table: what the engine says of itself, its health check and its progress become SERVING or
 * NOT_SERVING for every name, and each change is one log line with a reason word.
 *
 * Begins at once and goes on until {@link stop}. Only an engine in state "ready" whose health check answered is SERVING;
 * an engine that starts, dies or closes is NOT_SERVING in the same turn, so that every Watch hears it. The deadline for
 * an answer lies here alone: the engine is asked once and never cancelled.
 *
 * This is the first part of the evidence: grades between slow and hung (stalled, saturated, paused) are not told apart
 * yet, and one missed answer of `silenceMs` decides.
 */
export class EngineHealth {
  readonly #options: Required<EngineHealthOptions>;
  readonly #names: readonly string[];
  readonly #unsubscribe: () => void;
  #verdict: HealthVerdict;
  #pending: PendingCheck | undefined;
  #isWithdrawn = false;
  #isStopped = false;
  #cancelTick: (() => void) | undefined;
  #tickedAtMs: number;

  /** Registers the names. Throws a RangeError for a time outside 1 to 2,147,483,647 ms, the longest that a timer takes. */
  constructor(options: EngineHealthOptions) {
    this.#options = { intervalMs: 1000, silenceMs: 30_000, checkWaitMs: 500, clock: systemClock, ...options };
    for (const name of ["intervalMs", "silenceMs", "checkWaitMs"] as const) {
      const value = this.#options[name];
      if (!(value >= 1 && value <= maxTimerMs)) throw new RangeError(`${name}: ${value}, expected 1 to ${maxTimerMs}`);
    }
    const { engine, table, services, clock } = this.#options;
    this.#names = [...new Set(["", ...services])];
    for (const name of this.#names) table.set(name, "NOT_SERVING");
    this.#verdict = { serving: false, reason: "engine-starting", sentence: "The engine is starting." };
    this.#log(this.#verdict);
    this.#tickedAtMs = clock.nowMs();
    this.#unsubscribe = engine.onState((state) => this.#follow(state));
    this.#follow(engine.state);
    this.#scheduleTick();
  }

  /** What health answers now, and why. */
  get verdict(): HealthVerdict {
    return this.#verdict;
  }

  /**
   * Asks the engine, or joins the question that is open, and resolves when it answered or `checkWaitMs` passed: the
   * verdict is then as fresh as it can be. Never rejects. Does nothing unless the engine is ready.
   */
  async refresh(): Promise<void> {
    if (this.#isStopped || this.#options.engine.state.t !== "ready") return;
    const { answered } = this.#check();
    const { clock, checkWaitMs } = this.#options;
    let cancelWait: (() => void) | undefined;
    const waitedLongEnough = new Promise<void>((resolve) => {
      cancelWait = clock.after(checkWaitMs, resolve);
    });
    await Promise.race([answered, waitedLongEnough]);
    cancelWait?.();
  }

  /**
   * Latches the table: every name is NOT_SERVING from now on and every watcher hears it. `reason` is a sentence for the
   * log. Never throws: a failure is logged, because a shutdown must not stop here.
   */
  withdraw(reason: string): void {
    if (this.#isWithdrawn) return;
    this.#isWithdrawn = true;
    this.#verdict = { serving: false, reason: "shutting-down", sentence: reason };
    try {
      this.#options.table.shutdown();
      this.#log(this.#verdict);
      this.stop();
    } catch (error) {
      this.#options.log.error({ reason: "withdraw-failed", err: error }, "Health could not be withdrawn.");
    }
  }

  /** Stops asking and listening; the statuses stay as they are. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#pending = undefined;
    this.#unsubscribe();
  }

  #follow(state: EngineState): void {
    // What was asked before belongs to the engine's earlier life; its answer says nothing of this one.
    this.#pending = undefined;
    switch (state.t) {
      case "idle":
      case "starting":
        this.#judge({ serving: false, reason: "engine-starting", sentence: "The engine is starting." });
        return;
      case "ready":
        this.#check();
        return;
      case "dead": {
        const restart = state.restartInMs === undefined ? "" : ` It restarts in ${state.restartInMs} ms.`;
        this.#judge({
          serving: false,
          reason: "engine-dead",
          sentence: `The engine is dead: ${state.reason}.${restart}`,
        });
        return;
      }
      case "closed":
        this.#judge({ serving: false, reason: "engine-closed", sentence: "The engine is closed." });
        return;
    }
  }

  #check(): PendingCheck {
    if (this.#pending !== undefined) return this.#pending;
    const answer = this.#ask();
    const pending: PendingCheck = {
      heardAtMs: this.#options.clock.nowMs(),
      answered: answer.then((verdict) => {
        if (this.#pending !== pending) return;
        this.#pending = undefined;
        this.#judge(verdict);
      }),
    };
    this.#pending = pending;
    return pending;
  }

  async #ask(): Promise<HealthVerdict> {
    try {
      await this.#options.engine.checkHealth();
      return { serving: true, reason: "ready", sentence: "The engine is ready." };
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      return { serving: false, reason: "check-failed", sentence: `The engine's health check failed: ${message}` };
    }
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#options.clock.after(this.#options.intervalMs, () => {
      this.#scheduleTick();
      this.#tick();
    });
  }

  #tick(): void {
    const { engine, clock, intervalMs, silenceMs } = this.#options;
    const nowMs = clock.nowMs();
    const lateMs = nowMs - this.#tickedAtMs - intervalMs;
    this.#tickedAtMs = nowMs;
    if (engine.state.t !== "ready") return;
    const pending = this.#check();
    // When this process itself stood still, an answer may lie unread: that time is not the engine's silence.
    if (lateMs > intervalMs) pending.heardAtMs += lateMs;
    pending.heardAtMs = Math.min(nowMs, Math.max(pending.heardAtMs, engine.progress?.receivedAtMs ?? 0));
    const silentMs = nowMs - pending.heardAtMs;
    if (silentMs < silenceMs) return;
    const sentence = `The engine has not answered its health check nor made progress for ${Math.round(silentMs)} ms.`;
    this.#judge({ serving: false, reason: "no-answer", sentence });
  }

  #judge(verdict: HealthVerdict): void {
    if (this.#isWithdrawn) return;
    const isNews = verdict.reason !== this.#verdict.reason;
    this.#verdict = verdict;
    if (!isNews) return;
    for (const name of this.#names) this.#options.table.set(name, verdict.serving ? "SERVING" : "NOT_SERVING");
    this.#log(verdict);
  }

  #log({ serving, reason, sentence }: HealthVerdict): void {
    const status = serving ? "SERVING" : "NOT_SERVING";
    const isExpected =
      serving || reason === "engine-starting" || reason === "shutting-down" || reason === "engine-closed";
    this.#options.log[isExpected ? "info" : "warn"]({ reason, status }, sentence);
  }
}
