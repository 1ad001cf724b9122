import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import { KvEventFeed } from "../../engine/kv-event-feed.ts";
import type { KvCacheEvent } from "../../engine/kv-events.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { EmbedRequest, GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import { type Clock, systemClock } from "../../operations/clock.ts";
import { mockEmbedding } from "./mock-embedding.ts";
import { mockFacts } from "./mock-facts.ts";
import { FaultPlan } from "./mock-faults.ts";
import { storedPrefixes } from "./mock-prefixes.ts";
import { MockScheduler } from "./mock-scheduler.ts";
import type { MockScript } from "./mock-script.ts";
import { mockTokenizerFiles } from "./mock-tokenizer.ts";

/** The strings by which a test or a script pulls a scripted engine. */
export interface MockControls {
  /** Makes steps now, whatever the interval; does nothing while stalled, hung or not ready. Default 1 step. */
  step(count?: number): void;
  /** Each step takes this long from now on. */
  slow(stepIntervalMs: number): void;
  /** No step and no health answer for so long. */
  stall(forMs: number): void;
  /** No step and no health answer until {@link resume}. */
  hang(): void;
  /** Ends a stall or a hang. */
  resume(): void;
  /** Tells these events of the prefix cache, as the cache of this rank (default 0). */
  tellKvEvents(events: readonly KvCacheEvent[], dpRank?: number): void;
  /** Turns the state dead and fails everything in flight `unavailable`; with `restartInMs` it comes back. */
  die(reason: string, restartInMs?: number): void;
  /** The last requests that `generate` took, oldest first, at most 64. */
  readonly received: readonly GenerateRequest[];
}

export interface MockEngineOptions {
  /** Default: the machine's clock. */
  readonly clock?: Clock;
}

/**
 * Makes an engine that follows a script: an engine for tests and for trying out faults, in this process and without a
 * model. A text prompt is one token per UTF-8 byte; one step gives every running output one token.
 *
 * The caller closes it.
 */
export function createMockEngine(script: MockScript, options: MockEngineOptions = {}): Engine & MockControls {
  return new MockEngine(script, options.clock ?? systemClock);
}

interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: EngineError) => void;
}

class MockEngine implements Engine, MockControls {
  readonly name = "mock";
  readonly processIds: readonly number[] = [];
  readonly kvEvents: KvEventFeed = new KvEventFeed();
  readonly reportsSteps = true;
  readonly #script: MockScript;
  readonly #clock: Clock;
  readonly #facts: ModelFacts;
  readonly #scheduler: MockScheduler;
  readonly #faults: FaultPlan;
  readonly #listeners = new Set<StateListener>();
  readonly #received: GenerateRequest[] = [];
  #state: EngineState = { t: "idle" };
  #progress: EngineProgress | undefined;
  #wasReady = false;
  #stepIntervalMs: number | "manual";
  #steps = 0;
  #generatedTokens = 0;
  /** Set while no step comes: for ever (a hang), or until the timer ends it (a stall). */
  #stopped: { readonly endTimer: () => void } | undefined;
  #cancelNextStep: (() => void) | undefined;
  #cancelRestart: (() => void) | undefined;
  #starting: Waiter<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Settled by the next step: health checks and embeddings. */
  #waiters: Waiter<void>[] = [];

  constructor(script: MockScript, clock: Clock) {
    this.#script = script;
    this.#clock = clock;
    this.#facts = mockFacts(script.model ?? {});
    this.#stepIntervalMs = script.stepIntervalMs ?? 10;
    this.#scheduler = new MockScheduler(this.#facts, script);
    this.#faults = new FaultPlan(script.faults ?? [], clock, this);
  }

  get state(): EngineState {
    return this.#state;
  }

  get progress(): EngineProgress | undefined {
    return this.#progress;
  }

  get received(): readonly GenerateRequest[] {
    return this.#received;
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): Promise<void> {
    if (this.#state.t !== "idle") return Promise.reject(new EngineError("internal", "start was called twice"));
    return new Promise<void>((resolve, reject) => {
      this.#starting = { resolve, reject };
      this.#load();
    });
  }

  facts(): ModelFacts {
    if (!this.#wasReady) throw this.#unavailable();
    return this.#facts;
  }

  generate(request: GenerateRequest, sink: GenerationSink): void {
    this.#mustBeReady();
    if (!this.#facts.isGeneration) throw new EngineError("unimplemented", "this model only makes embeddings");
    if (request.sampling.constraint?.kind === "structural-tag") {
      const field = "sampling_params.structural_tag";
      throw new EngineError("unimplemented", `${field}: the scripted engine has no structural tags`, { field });
    }
    this.#received.push(request);
    if (this.#received.length > 64) this.#received.shift();
    this.#scheduler.add(request, sink, this.#faults.failureOfNextRequest());
    this.#scheduleStep();
  }

  abort(requestId: string): void {
    this.#scheduler.abort(requestId);
    this.#scheduleStep();
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedding> {
    this.#mustBeReady();
    const dimensions = this.#script.model?.embeddingDim ?? 8;
    if (dimensions === 0) throw new EngineError("unimplemented", "this model makes no embeddings");
    await this.#nextStep(signal);
    return { values: mockEmbedding(request.tokenIds, dimensions), promptTokens: request.tokenIds.length };
  }

  async checkHealth(): Promise<void> {
    this.#mustBeReady();
    await this.#nextStep(undefined);
  }

  loads(): readonly EngineLoad[] {
    return [this.#scheduler.load(this.#clock.nowMs())];
  }

  async tokenizerFiles(): Promise<readonly TokenizerFile[]> {
    this.facts();
    return mockTokenizerFiles();
  }

  async flushCache(): Promise<boolean> {
    this.#mustBeReady();
    if (this.#scheduler.busy) return false;
    this.tellKvEvents([{ t: "cleared" }]);
    return true;
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  step(count = 1): void {
    for (let i = 0; i < count; i++) this.#step();
    this.#scheduleStep();
  }

  slow(stepIntervalMs: number): void {
    this.#stepIntervalMs = stepIntervalMs;
    this.#cancelNextStep?.();
    this.#cancelNextStep = undefined;
    this.#scheduleStep();
  }

  stall(forMs: number): void {
    this.#stop(this.#clock.after(forMs, () => this.resume()));
  }

  hang(): void {
    this.#stop(() => {});
  }

  resume(): void {
    this.#stopped?.endTimer();
    this.#stopped = undefined;
    this.#scheduleStep();
  }

  tellKvEvents(events: readonly KvCacheEvent[], dpRank = 0): void {
    this.kvEvents.publish({ dpRank, events });
  }

  die(reason: string, restartInMs?: number): void {
    if (this.#state.t === "closed" || this.#state.t === "dead") return;
    this.#stop(() => {});
    this.#set({ t: "dead", reason, restartInMs });
    this.tellKvEvents([{ t: "cleared" }]);
    this.#failAll(new EngineError("unavailable", `the engine died: ${reason}`));
    if (restartInMs !== undefined) this.#cancelRestart = this.#clock.after(restartInMs, () => this.#load());
  }

  #load(): void {
    this.#set({ t: "starting", progress: 0 });
    const { delayMs = 0, fail } = this.#script.start ?? {};
    this.#cancelRestart = this.#clock.after(delayMs, () => {
      if (fail !== undefined) {
        this.#set({ t: "dead", reason: fail, restartInMs: undefined });
        this.#starting?.reject(new EngineError("failed-precondition", fail));
        this.#starting = undefined;
        return;
      }
      this.#wasReady = true;
      this.#stopped = undefined;
      this.#steps = 0;
      this.#set({ t: "ready" });
      this.#sample();
      this.tellKvEvents(storedPrefixes(this.#script.cachedPrefixes ?? [], this.#facts.blockSizeTokens));
      this.#starting?.resolve();
      this.#starting = undefined;
      this.#faults.ready();
    });
  }

  #scheduleStep(): void {
    if (this.#stepIntervalMs === "manual" || this.#cancelNextStep !== undefined || !this.#canStep()) return;
    if (this.#waiters.length === 0 && !this.#scheduler.hasWork) return;
    this.#cancelNextStep = this.#clock.after(this.#stepIntervalMs, () => {
      this.#cancelNextStep = undefined;
      this.step();
    });
  }

  #canStep(): boolean {
    return this.#state.t === "ready" && this.#stopped === undefined;
  }

  #step(): void {
    if (!this.#canStep()) return;
    this.#steps += 1;
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#generatedTokens += this.#scheduler.step(this.#clock.nowMs());
    this.#sample();
    for (const waiter of waiters) waiter.resolve();
    this.#faults.stepped(this.#steps);
  }

  #sample(): void {
    const { runningRequests, waitingRequests } = this.#scheduler.occupancy;
    this.#progress = {
      steps: this.#steps,
      generatedTokens: this.#generatedTokens,
      runningRequests,
      waitingRequests,
      receivedAtMs: this.#clock.nowMs(),
    };
  }

  #nextStep(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = () => reject(new EngineError("unavailable", "the request was given up"));
      if (signal?.aborted) return aborted();
      signal?.addEventListener("abort", aborted, { once: true });
      const settled = () => signal?.removeEventListener("abort", aborted);
      this.#waiters.push({
        resolve: () => {
          settled();
          resolve();
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.#scheduleStep();
    });
  }

  #stop(endTimer: () => void): void {
    this.#stopped?.endTimer();
    this.#cancelNextStep?.();
    this.#cancelNextStep = undefined;
    this.#stopped = { endTimer };
  }

  async #close(graceMs: number): Promise<void> {
    if (this.#state.t === "ready" && this.#scheduler.busy && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(graceMs, resolve);
        this.#scheduler.onIdle(() => {
          cancel();
          resolve();
        });
      });
    }
    this.#stop(() => {});
    this.#cancelRestart?.();
    this.#faults.cancel();
    this.#set({ t: "closed" });
    const error = new EngineError("unavailable", "the engine was closed");
    this.#starting?.reject(error);
    this.#failAll(error);
  }

  #failAll(error: EngineError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#scheduler.failAll(error);
    for (const waiter of waiters) waiter.reject(error);
  }

  #set(state: EngineState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  #mustBeReady(): void {
    if (this.#state.t !== "ready" || this.#closing !== undefined) throw this.#unavailable();
  }

  #unavailable(): EngineError {
    const state = this.#closing === undefined ? this.#state.t : "closed";
    const why = this.#state.t === "dead" ? `dead: ${this.#state.reason}` : state;
    return new EngineError("unavailable", `the engine is ${why}`);
  }
}
