import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import type { ManualClock } from "../../operations/testing/manual-clock.ts";

interface Running {
  readonly sink: GenerationSink;
  tokensLeft: number;
  hasBegun: boolean;
}

const slots = 4;
const facts: ModelFacts = {
  modelPath: "simulated",
  tokenizerPath: "",
  modelType: "simulated",
  architectures: [],
  vocabSize: 10,
  maxModelLenTokens: 1_000_000,
  eosTokenIds: [2],
  bosTokenId: 1,
  padTokenId: undefined,
  isGeneration: true,
  defaultSampling: {},
  maxNumSeqs: slots,
  kvCacheTokens: 1_000_000,
  kvCacheDtype: "f16",
  blockSizeTokens: 1,
  modelDtype: "f16",
};

/**
 * An engine with time and without a model: a step takes as long as it is told, health checks are answered between steps,
 * and it can be frozen at any moment. All of it on a manual clock.
 */
export class SimulatedEngine implements Engine {
  readonly name = "simulated";
  readonly processIds: readonly number[] = [];
  readonly #clock: ManualClock;
  readonly #listeners = new Set<StateListener>();
  readonly #running = new Map<string, Running>();
  #checks: { resolve(): void; reject(error: EngineError): void }[] = [];
  #cancelStep: (() => void) | undefined;
  #stepsTaken = 0;
  #tokens = 0;
  #isFrozen = false;
  #stepIsDue = false;
  state: EngineState = { t: "idle" };
  progress: EngineProgress | undefined;
  /** How long the next steps take, work or not. */
  stepMs = 10;
  /** When a step ended last, or the engine became ready. */
  lastSignMs = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  become(state: EngineState): void {
    this.state = state;
    if (state.t === "ready") {
      this.#stepsTaken = 0;
      this.lastSignMs = this.#clock.nowMs();
    }
    for (const listener of this.#listeners) listener(state);
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No step ends any more until {@link thaw}. */
  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    if (this.#stepIsDue) this.#step();
  }

  die(): void {
    if (this.state.t !== "ready") return;
    this.#cancelStep?.();
    this.#cancelStep = undefined;
    this.#stepIsDue = false;
    this.#isFrozen = false;
    this.become({ t: "dead", reason: "killed", restartInMs: 1000 });
    const error = new EngineError("unavailable", "killed");
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { sink } of running) sink.failed(error);
    for (const { reject } of this.#checks.splice(0)) reject(error);
  }

  generate({ id, sampling }: GenerateRequest, sink: GenerationSink): void {
    if (this.state.t !== "ready") throw new EngineError("unavailable", "not ready");
    this.#running.set(id, { sink, tokensLeft: sampling.maxTokens ?? 1, hasBegun: false });
    this.#schedule();
  }

  abort(): void {}

  checkHealth(): Promise<void> {
    if (this.state.t !== "ready") return Promise.reject(new EngineError("unavailable", "not ready"));
    const answer = Promise.withResolvers<void>();
    this.#checks.push(answer);
    this.#schedule();
    return answer.promise;
  }

  loads(): readonly EngineLoad[] {
    return [
      {
        dpRank: 0,
        runningRequests: this.#running.size,
        waitingRequests: 0,
        waitingPromptTokens: 0,
        usedKvTokens: 0,
        kvCacheTokens: facts.kvCacheTokens,
        generatedTokensPerSecond: 0,
        cacheHitRate: 0,
        maxRunningRequests: slots,
      },
    ];
  }

  facts(): ModelFacts {
    return facts;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  embed(): Promise<Embedding> {
    return Promise.reject(new EngineError("unimplemented", "no embeddings"));
  }

  tokenizerFiles(): Promise<readonly TokenizerFile[]> {
    return Promise.resolve([]);
  }

  flushCache(): Promise<boolean> {
    return Promise.resolve(false);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #schedule(): void {
    if (this.#cancelStep !== undefined || this.#stepIsDue) return;
    if (this.#running.size === 0 && this.#checks.length === 0) return;
    // A turn of the loop without work is quick on every engine.
    const takesMs = this.#running.size === 0 ? 1 : this.stepMs;
    this.#cancelStep = this.#clock.after(takesMs, () => {
      this.#cancelStep = undefined;
      if (this.#isFrozen) this.#stepIsDue = true;
      else this.#step();
    });
  }

  #step(): void {
    this.#stepIsDue = false;
    const nowMs = this.#clock.nowMs();
    this.lastSignMs = nowMs;
    if (this.#running.size > 0) this.#stepsTaken += 1;
    for (const [id, running] of [...this.#running]) {
      running.tokensLeft -= 1;
      this.#tokens += 1;
      const finish = running.tokensLeft === 0 ? ({ reason: "length" } as const) : undefined;
      if (finish !== undefined) this.#running.delete(id);
      running.sink.delta({ index: 0, tokenIds: [1], promptTokens: 1, cachedTokens: 0, finish });
    }
    this.progress = {
      steps: this.#stepsTaken,
      generatedTokens: this.#tokens,
      runningRequests: this.#running.size,
      waitingRequests: 0,
      receivedAtMs: nowMs,
    };
    for (const { resolve } of this.#checks.splice(0)) resolve();
    this.#schedule();
  }
}
