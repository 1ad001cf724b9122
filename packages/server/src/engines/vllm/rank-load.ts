import type { EngineLoad } from "../../engine/facts.ts";
import { HitRate } from "../../operations/hit-rate.ts";
import { Throughput } from "../../operations/throughput.ts";
import type { OutputSequence } from "./output/output-sequence.ts";

/** What an engine says of its scheduler with each step, unless its statistics are off. */
export interface SchedulerSample {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** [0, 1]. */
  readonly kvCacheUsage: number;
}

/** The limits of one engine. */
export interface RankLimits {
  readonly maxNumSeqs: number;
  readonly kvCacheTokens: number;
}

/**
 * The load of one data-parallel rank: what its scheduler says, and what was handed to it and came back, which is all that is
 * known while its statistics are off (`--disable-log-stats`).
 */
export class RankLoad {
  readonly #rank: number;
  readonly #limits: RankLimits;
  readonly #throughput = new Throughput(2_000);
  readonly #hitRate = new HitRate(64);
  #sample: SchedulerSample | undefined;
  #newest: { schedulerStats(): SchedulerSample | undefined } | undefined;
  #open = 0;
  #begun = 0;
  #waitingPromptTokens = 0;
  #heldTokens = 0;

  constructor(rank: number, limits: RankLimits) {
    this.#rank = rank;
    this.#limits = limits;
  }

  /** Outputs that were handed over and have not ended. */
  get open(): number {
    return this.#open;
  }

  get maxNumSeqs(): number {
    return this.#limits.maxNumSeqs;
  }

  handed(sequence: OutputSequence): void {
    this.#open += 1;
    this.#waitingPromptTokens += sequence.promptTokens;
  }

  /** The first token of an output came, so its prompt is computed. */
  began(sequence: OutputSequence): void {
    this.#begun += 1;
    this.#waitingPromptTokens -= sequence.promptTokens;
    this.#heldTokens += sequence.promptTokens;
    this.#hitRate.add(sequence.cachedTokens, sequence.promptTokens);
  }

  generated(tokens: number): void {
    this.#heldTokens += tokens;
    this.#throughput.add(tokens);
  }

  ended(sequence: OutputSequence, tokens: number): void {
    this.#open -= 1;
    if (sequence.hasBegun) {
      this.#begun -= 1;
      this.#heldTokens -= sequence.promptTokens + tokens;
    } else {
      this.#waitingPromptTokens -= sequence.promptTokens;
    }
  }

  /** A message of the engine, whose figures are read when somebody asks: most messages are asked for none. */
  received(message: { schedulerStats(): SchedulerSample | undefined }): void {
    this.#newest = message;
  }

  get load(): EngineLoad {
    const { maxNumSeqs, kvCacheTokens } = this.#limits;
    const sample = this.#latest();
    return {
      dpRank: this.#rank,
      // The last sample may be of requests that were taken back since: no more can run or wait than was handed over.
      runningRequests: Math.min(this.#open, sample?.runningRequests ?? Math.max(this.#begun, maxNumSeqs)),
      waitingRequests: Math.min(
        this.#open,
        sample?.waitingRequests ?? Math.max(0, this.#open - Math.max(this.#begun, maxNumSeqs)),
      ),
      waitingPromptTokens: this.#waitingPromptTokens,
      usedKvTokens: Math.min(
        kvCacheTokens,
        sample === undefined ? this.#heldTokens : Math.round(sample.kvCacheUsage * kvCacheTokens),
      ),
      kvCacheTokens,
      generatedTokensPerSecond: this.#throughput.tokensPerSecond,
      cacheHitRate: this.#hitRate.value,
      maxRunningRequests: maxNumSeqs,
    };
  }

  #latest(): SchedulerSample | undefined {
    try {
      this.#sample = this.#newest?.schedulerStats() ?? this.#sample;
    } catch {
      // Figures that cannot be read are as good as none; the outputs beside them were read.
    }
    this.#newest = undefined;
    return this.#sample;
  }
}
