import type { EngineProgress } from "../../engine/state.ts";
import { type TimeDistribution, TimeWindow } from "../accrual-detector.ts";

/** Whether work moves. */
export interface ProgressEvidence {
  /** Requests for tokens that were handed over and have not ended. */
  readonly requestsInFlight: number;
  /** Since when there is work, embeddings included, without a pause; undefined when there is none. */
  readonly workSinceMs: number | undefined;
  /** When the engine last took a step or gave a token; undefined before the first of this engine. */
  readonly movedAtMs: number | undefined;
  /** How long a step takes while there is work. */
  readonly stepTimes: TimeDistribution;
}

const windowSize = 128;

/** What the steps between two samples are to be seen against. */
export interface StepContext {
  /** When the last work was handed over that met an idle engine; undefined before the first. */
  readonly workBeganAtMs: number | undefined;
  /** Longest step that is worth remembering. */
  readonly longestMs: number;
  /** The process was seen stopped since the last step, so the time was not the step's. */
  readonly wasStopped: boolean;
}

/** Collects samples of the engine's own counters. */
export class ProgressCollector {
  readonly #window = new TimeWindow(windowSize);
  #last: EngineProgress | undefined;
  #observedAtMs = 0;
  #movedAtMs: number | undefined;

  /** Looks at the engine's last sample; true when its counters moved since the look before. */
  observe(sample: EngineProgress | undefined, nowMs: number, context: StepContext): boolean {
    const last = this.#last;
    const observedAtMs = this.#observedAtMs;
    this.#last = sample;
    this.#observedAtMs = nowMs;
    if (sample === undefined || !hasMoved(last, sample)) return false;
    const movedAtMs = Math.min(nowMs, Math.max(observedAtMs, sample.receivedAtMs));
    // An engine that was replaced counts from 0 again.
    const steps = sample.steps - (last !== undefined && last.steps <= sample.steps ? last.steps : 0);
    this.#learn(steps, movedAtMs, context);
    this.#movedAtMs = movedAtMs;
    return true;
  }

  /** Another engine, or none; `sample` is what it says first. How long steps take stays known: the model is the same. */
  replaced(sample: EngineProgress | undefined, nowMs: number): void {
    this.#last = sample;
    this.#observedAtMs = nowMs;
    this.#movedAtMs = undefined;
  }

  forgive(forMs: number, nowMs: number): void {
    if (this.#movedAtMs !== undefined) this.#movedAtMs = Math.min(nowMs, this.#movedAtMs + forMs);
  }

  get movedAtMs(): number | undefined {
    return this.#movedAtMs;
  }

  get stepTimes(): TimeDistribution {
    return this.#window.distribution;
  }

  #learn(steps: number, movedAtMs: number, { workBeganAtMs, longestMs, wasStopped }: StepContext): void {
    // Steps of an engine without work (data-parallel ranks take them to keep pace) say nothing of the time for work.
    if (steps <= 0 || wasStopped || workBeganAtMs === undefined) return;
    const beganAtMs = Math.max(workBeganAtMs, this.#movedAtMs ?? 0);
    if (movedAtMs < beganAtMs) return;
    this.#window.add(Math.min(longestMs, (movedAtMs - beganAtMs) / steps), steps);
  }
}

function hasMoved(before: EngineProgress | undefined, after: EngineProgress): boolean {
  return after.steps !== (before?.steps ?? 0) || after.generatedTokens !== (before?.generatedTokens ?? 0);
}
