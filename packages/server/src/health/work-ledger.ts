import { PrefillCollector, type PrefillEvidence } from "./evidence/prefill.ts";

interface Generation {
  readonly handedAtMs: number;
  readonly promptTokens: number;
  /** It met a free slot, so the time to its first output is the time of its prefill. */
  readonly hadSlot: boolean;
  outputsLeft: number;
  hasBegun: boolean;
}

/** What a request's first output says of its prompt. */
export interface PromptWork {
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

/**
 * What was handed to the engine and what came back, from the server's side of the border. The engine's own counters are
 * samples of its last step: they know nothing of a request that the first step after it has not finished.
 */
export class WorkLedger {
  readonly #generations = new Map<string, Generation>();
  readonly #embeddings = new Map<symbol, { readonly handedAtMs: number; readonly promptTokens: number }>();
  readonly #prefill = new PrefillCollector();
  #outputsInFlight = 0;
  #workSinceMs: number | undefined;
  #workBeganAtMs: number | undefined;
  #movedAtMs: number | undefined;

  /** The engine took a request. `slots` is how many outputs it can work on at once. */
  generationTaken(id: string, promptTokens: number, outputs: number, slots: number, nowMs: number): void {
    this.#begin(nowMs);
    const hadSlot = this.#outputsInFlight + outputs <= slots;
    this.#generations.set(id, {
      handedAtMs: nowMs,
      promptTokens,
      hadSlot,
      outputsLeft: outputs,
      hasBegun: false,
    });
    this.#outputsInFlight += outputs;
  }

  /** An output of the request came. */
  moved(id: string, work: PromptWork, hasFinished: boolean, nowMs: number): void {
    this.#movedAtMs = nowMs;
    const generation = this.#generations.get(id);
    if (generation === undefined) return;
    if (!generation.hasBegun) {
      generation.hasBegun = true;
      const computedTokens = work.promptTokens - work.cachedTokens;
      if (generation.hadSlot) this.#prefill.computed(computedTokens, nowMs - generation.handedAtMs);
    }
    if (!hasFinished) return;
    generation.outputsLeft -= 1;
    this.#outputsInFlight -= 1;
    if (generation.outputsLeft === 0) this.#remove(id);
  }

  /** The whole request ended without more outputs. */
  generationFailed(id: string): void {
    this.#outputsInFlight -= this.#generations.get(id)?.outputsLeft ?? 0;
    this.#remove(id);
  }

  /** The engine took a prompt to embed; call the answer when it is done, with whether it succeeded. */
  embeddingTaken(promptTokens: number, nowMs: number): (succeeded: boolean, atMs: number) => void {
    this.#begin(nowMs);
    const key = Symbol();
    this.#embeddings.set(key, { handedAtMs: nowMs, promptTokens });
    return (succeeded, atMs) => {
      this.#embeddings.delete(key);
      if (succeeded) this.#movedAtMs = atMs;
      this.#rest();
    };
  }

  forgive(forMs: number, nowMs: number): void {
    const shifted = (atMs: number | undefined) => (atMs === undefined ? undefined : Math.min(nowMs, atMs + forMs));
    this.#workSinceMs = shifted(this.#workSinceMs);
    this.#movedAtMs = shifted(this.#movedAtMs);
  }

  /** Requests for tokens that have not ended. */
  get requestsInFlight(): number {
    return this.#generations.size;
  }

  /** Since when there is work without a pause; undefined while there is none. */
  get workSinceMs(): number | undefined {
    return this.#workSinceMs;
  }

  /** When the last stretch of work began, also when it is over. */
  get workBeganAtMs(): number | undefined {
    return this.#workBeganAtMs;
  }

  /** When the last output came. */
  get movedAtMs(): number | undefined {
    return this.#movedAtMs;
  }

  /** `reportedTokens` are those that the engine counted itself as waiting, in a sample of `sampledAtMs`. */
  prefill(reportedTokens: number, sampledAtMs: number): PrefillEvidence {
    let pendingTokens = reportedTokens;
    for (const { hasBegun, handedAtMs, promptTokens } of this.#generations.values()) {
      if (!hasBegun && handedAtMs >= sampledAtMs) pendingTokens += promptTokens;
    }
    for (const { promptTokens } of this.#embeddings.values()) pendingTokens += promptTokens;
    return { pendingTokens, tokensPerSecond: this.#prefill.tokensPerSecond };
  }

  #begin(nowMs: number): void {
    if (this.#workSinceMs !== undefined) return;
    this.#workSinceMs = nowMs;
    this.#workBeganAtMs = nowMs;
  }

  #remove(id: string): void {
    this.#generations.delete(id);
    this.#rest();
  }

  #rest(): void {
    if (this.#generations.size + this.#embeddings.size === 0) this.#workSinceMs = undefined;
  }
}
