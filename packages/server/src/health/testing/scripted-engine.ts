import type { StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts } from "../../engine/facts.ts";
import type { GenerationSink } from "../../engine/output.ts";
import type { GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import type { MonitoredEngine } from "../health-monitor.ts";

/** The part of an engine that health sees, played by a test. */
export class ScriptedEngine implements MonitoredEngine {
  readonly #listeners = new Set<StateListener>();
  #open: { resolve(): void; reject(error: unknown): void }[] = [];
  #sinks = new Map<string, GenerationSink>();
  #steps = 0;
  state: EngineState = { t: "idle" };
  progress: EngineProgress | undefined;
  processIds: readonly number[] = [];
  pausedBecause: string | undefined;
  /** Checks asked so far. */
  checks = 0;
  /** Ids of the requests that were given up. */
  readonly aborted: string[] = [];
  /** What happens to a check: answered at once, refused at once, or kept until {@link answer}. */
  behaviour: "answer" | "fail" | "hang" = "answer";
  /** What happens to a request: kept until {@link giveTokens}, failed in the next turn, or refused. */
  generation: "keep" | { readonly failsWith: EngineError } | { readonly throws: EngineError } = "keep";
  isGeneration = true;
  waitingRequests = 0;
  waitingPromptTokens = 0;

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Ids of the requests that wait for their tokens. */
  get asked(): readonly string[] {
    return [...this.#sinks.keys()];
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  become(state: EngineState): void {
    this.state = state;
    for (const listener of this.#listeners) listener(state);
  }

  /** Takes a step that is heard at that time. */
  stepAt(receivedAtMs: number): void {
    const steps = ++this.#steps;
    this.progress = { steps, generatedTokens: steps, runningRequests: 1, waitingRequests: 0, receivedAtMs };
  }

  checkHealth(): Promise<void> {
    this.checks += 1;
    switch (this.behaviour) {
      case "answer":
        return Promise.resolve();
      case "fail":
        return Promise.reject(new Error("the loop is broken"));
      case "hang":
        return new Promise((resolve, reject) => this.#open.push({ resolve, reject }));
    }
  }

  /** Answers every check that hangs. */
  answer(): void {
    for (const { resolve } of this.#open.splice(0)) resolve();
  }

  /** Fails every check that hangs. */
  refuse(): void {
    for (const { reject } of this.#open.splice(0)) reject(new Error("the engine died"));
  }

  generate({ id }: GenerateRequest, sink: GenerationSink): void {
    const { generation } = this;
    if (generation === "keep") this.#sinks.set(id, sink);
    else if ("throws" in generation) throw generation.throws;
    else queueMicrotask(() => sink.failed(generation.failsWith));
  }

  /** Ends every request with one token. */
  giveTokens(): void {
    const sinks = [...this.#sinks.values()];
    this.#sinks.clear();
    const delta = { index: 0, tokenIds: [1], promptTokens: 1, cachedTokens: 0, finish: { reason: "length" } } as const;
    for (const sink of sinks) sink.delta(delta);
  }

  abort(requestId: string): void {
    this.aborted.push(requestId);
    this.#sinks.delete(requestId);
  }

  facts(): ModelFacts {
    if (this.state.t !== "ready") throw new EngineError("unavailable", "not ready");
    return {
      modelPath: "scripted",
      tokenizerPath: "",
      modelType: "scripted",
      architectures: [],
      vocabSize: 10,
      maxModelLenTokens: 100,
      eosTokenIds: [2],
      bosTokenId: 1,
      padTokenId: undefined,
      isGeneration: this.isGeneration,
      defaultSampling: {},
      maxNumSeqs: 4,
      kvCacheTokens: 400,
      kvCacheDtype: "f16",
      blockSizeTokens: 1,
      modelDtype: "f16",
    };
  }

  loads(): readonly EngineLoad[] {
    return [
      {
        dpRank: 0,
        runningRequests: 0,
        waitingRequests: this.waitingRequests,
        waitingPromptTokens: this.waitingPromptTokens,
        usedKvTokens: 0,
        kvCacheTokens: 400,
        generatedTokensPerSecond: 0,
        cacheHitRate: 0,
        maxRunningRequests: 4,
      },
    ];
  }
}
