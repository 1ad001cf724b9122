import type { KvCacheEvent } from "../../engine/kv-events.ts";
import type { Clock } from "../../operations/clock.ts";
import type { ScriptedFailure } from "./mock-request.ts";
import type { MockFault } from "./mock-script.ts";

/** The engine's side of a fault. */
export interface FaultTarget {
  slow(stepIntervalMs: number): void;
  stall(forMs: number): void;
  hang(): void;
  die(reason: string, restartInMs?: number): void;
  tellKvEvents(events: readonly KvCacheEvent[]): void;
}

type TimedFault = Exclude<MockFault, { kind: "error" }>;

/** Lets each scripted fault strike once, at its moment. */
export class FaultPlan {
  readonly #clock: Clock;
  readonly #target: FaultTarget;
  readonly #faults: readonly MockFault[];
  /** Those that strike after a number of steps and have not yet. */
  #bySteps: { readonly afterSteps: number; readonly fault: TimedFault }[] = [];
  #cancelTimers: (() => void)[] = [];
  #started = false;
  #requests = 0;

  constructor(faults: readonly MockFault[], clock: Clock, target: FaultTarget) {
    this.#faults = faults;
    this.#clock = clock;
    this.#target = target;
  }

  /** The engine is ready; a restart counts nothing again. */
  ready(): void {
    if (this.#started) return;
    this.#started = true;
    for (const fault of this.#faults) {
      if (fault.kind === "error") continue;
      if ("afterSteps" in fault.at) this.#bySteps.push({ afterSteps: fault.at.afterSteps, fault });
      else this.#cancelTimers.push(this.#clock.after(fault.at.afterMs, () => this.#strike(fault)));
    }
    this.stepped(0);
  }

  /** The engine has made so many steps. */
  stepped(steps: number): void {
    if (this.#bySteps.length === 0) return;
    const due = this.#bySteps.filter(({ afterSteps }) => steps >= afterSteps);
    this.#bySteps = this.#bySteps.filter(({ afterSteps }) => steps < afterSteps);
    for (const { fault } of due) this.#strike(fault);
  }

  /** Counts one more request and says how it shall fail, if it shall. */
  failureOfNextRequest(): ScriptedFailure | undefined {
    this.#requests += 1;
    for (const fault of this.#faults) {
      if (fault.kind === "error" && fault.request === this.#requests) return fault;
    }
    return undefined;
  }

  /** Nothing strikes any more. */
  cancel(): void {
    for (const cancel of this.#cancelTimers) cancel();
    this.#bySteps = [];
  }

  #strike(fault: TimedFault): void {
    switch (fault.kind) {
      case "slow":
        this.#target.slow(fault.stepIntervalMs);
        return;
      case "stall":
        this.#target.stall(fault.forMs);
        return;
      case "hang":
        this.#target.hang();
        return;
      case "die":
        this.#target.die(fault.reason, fault.restartInMs);
        return;
      case "kv-gap":
        this.#target.tellKvEvents([{ t: "gap" }]);
        return;
    }
  }
}
