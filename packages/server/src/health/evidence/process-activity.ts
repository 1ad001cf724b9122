import type { ProcessSample } from "./read-process.ts";

/** What the system says of the engine's processes. */
export interface ProcessActivityEvidence {
  /** One of them is stopped, by a signal or by a debugger. */
  readonly isStopped: boolean;
  /** Together they use at least half a core. */
  readonly isBurningCpu: boolean;
}

/** CPU time is counted in hundredths of a second, so shorter spans are mostly rounding. */
const leastSpanMs = 200;
const burningShare = 0.5;

/** Collects samples of processes. Without any it knows nothing and claims nothing. */
export class ProcessActivityCollector {
  #isStopped = false;
  #isBurningCpu = false;
  #base: { readonly atMs: number; readonly cpuMs: number; readonly key: string } | undefined;

  observe(samples: readonly ProcessSample[], nowMs: number): void {
    this.#isStopped = samples.some(({ state }) => state === "T" || state === "t");
    const cpuMs = samples.reduce((sum, sample) => sum + sample.cpuMs, 0);
    const key = samples.map(({ pid }) => pid).join(" ");
    const base = this.#base;
    if (base === undefined || base.key !== key || samples.length === 0) {
      this.#isBurningCpu = false;
      this.#base = { atMs: nowMs, cpuMs, key };
      return;
    }
    const spanMs = nowMs - base.atMs;
    if (spanMs < leastSpanMs) return;
    this.#isBurningCpu = cpuMs - base.cpuMs >= burningShare * spanMs;
    this.#base = { atMs: nowMs, cpuMs, key };
  }

  get evidence(): ProcessActivityEvidence {
    return { isStopped: this.#isStopped, isBurningCpu: this.#isBurningCpu };
  }
}
