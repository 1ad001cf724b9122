import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import { KvEventFeed } from "../../engine/kv-event-feed.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { EngineProfiler } from "../../engine/profiler.ts";
import type { EmbedRequest, GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import type { Log } from "../../operations/log.ts";
import { Throughput } from "../../operations/throughput.ts";
import { BackOff } from "./back-off.ts";
import { toGbnf } from "./constraints/index.ts";
import type { ChildCounters, FromChild, ToChild } from "./ipc.ts";
import { type LlamaProcess, type LoadResult, loadInChild } from "./llama-process.ts";
import { engineError, PendingWork } from "./pending-work.ts";
import { type LlamaBlueprint, prepareModel } from "./prepare-model.ts";
import { exportTokenizer } from "./tokenizer-export/export-tokenizer.ts";

export interface LlamaEngineOptions {
  /** A GGUF file. */
  readonly modelPath: string;
  /** Undefined takes the context that the model was trained with, where memory allows. */
  readonly maxModelLenTokens: number | undefined;
  readonly maxNumSeqs: number | undefined;
  readonly maxNumBatchedTokens: number | undefined;
  /** Undefined: 1 for a small model, else the cores but one. */
  readonly threads: number | undefined;
  readonly kvCacheMemoryBytes: number | undefined;
  readonly log: Log;
}

const backOff = { firstMs: 100, maxMs: 10_000, maxFailures: 8 };
/** A child that has lived so long did not die of its start. */
const provenMs = 30_000;
/** What an abort may take on close before the child is killed all the same. */
const abortGraceMs = 1_000;
/** Requests on their way to a child that does not read, above which new ones are refused. */
const mostUnsentBytes = 64 * 1024 * 1024;

/**
 * llama.cpp in a supervised child process. A child that dies takes its requests with it (`unavailable`) and is
 * started again after a back-off; the model file and the settings stay the same.
 */
export function createLlamaEngine(options: LlamaEngineOptions): Engine {
  return new LlamaEngine(options);
}

class LlamaEngine implements Engine {
  readonly name = "llama";
  readonly profiler: EngineProfiler = {
    takesPath: true,
    start: (path) => this.#profile((call) => ({ t: "start-profile", call, path: path ?? "" })),
    stop: () => this.#profile((call) => ({ t: "stop-profile", call })),
  };
  readonly kvEvents: KvEventFeed = new KvEventFeed();
  /** The child sends a message for every step. */
  readonly reportsSteps = true;
  readonly #options: LlamaEngineOptions;
  readonly #listeners = new Set<StateListener>();
  readonly #pending = new PendingWork();
  readonly #backOff = new BackOff(backOff);
  readonly #throughput = new Throughput(2_000);
  #state: EngineState = { t: "idle" };
  #progress: EngineProgress | undefined;
  #counters: ChildCounters | undefined;
  #blueprint: LlamaBlueprint | undefined;
  #facts: ModelFacts | undefined;
  #process: LlamaProcess | undefined;
  #readyAtMs = 0;
  #restart: NodeJS.Timeout | undefined;
  #tokenizerFiles: Promise<readonly TokenizerFile[]> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: LlamaEngineOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  get progress(): EngineProgress | undefined {
    return this.#progress;
  }

  get processIds(): readonly number[] {
    const pid = this.#process?.pid;
    return pid === undefined ? [] : [pid];
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    this.#enter({ t: "starting", progress: 0 });
    try {
      this.#blueprint = await prepareModel(this.#options);
      for (const note of this.#blueprint.notes) this.#options.log.warn({ engine: this.name }, note);
      const result = await this.#load(this.#blueprint);
      if (result.t === "refused") throw result.error;
      if (result.t === "crashed") throw crashedOnLoad(this.#options.modelPath, result);
    } catch (thrown) {
      const error = EngineError.from(thrown);
      this.#enter({ t: "dead", reason: error.message, restartInMs: undefined });
      throw error;
    }
  }

  facts(): ModelFacts {
    if (this.#facts === undefined) throw this.#notReady();
    return this.#facts;
  }

  generate(request: GenerateRequest, sink: GenerationSink): void {
    const process = this.#takingProcess();
    if (!this.facts().isGeneration) throw onlyEmbeds(this.#options.modelPath);
    if (this.#pending.has(request.id)) throw new EngineError("internal", `request id ${request.id} is in flight`);
    const { constraint, ...sampling } = request.sampling;
    const gbnf = constraint === undefined ? undefined : toGbnf(constraint);
    this.#pending.addGeneration(request.id, sampling.n, sink);
    process.send({ t: "generate", id: request.id, prompt: request.prompt, sampling: { ...sampling, gbnf } });
  }

  abort(requestId: string): void {
    if (this.#pending.has(requestId)) this.#process?.send({ t: "abort", id: requestId });
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedding> {
    const process = this.#takingProcess();
    if (signal.aborted) throw new EngineError("unavailable", "the embedding was given up");
    const embedding = this.#pending.addEmbedding(request.id);
    const giveUp = (): void => {
      // The child may be in the middle of a pass; what it still answers is nobody's.
      process.send({ t: "abort", id: request.id });
      this.#pending.embeddingFailed(request.id, new EngineError("unavailable", "the embedding was given up"));
    };
    signal.addEventListener("abort", giveUp, { once: true });
    process.send({ t: "embed", id: request.id, tokenIds: request.tokenIds });
    try {
      return await embedding;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async checkHealth(): Promise<void> {
    const process = this.#readyProcess();
    const { ping, answered } = this.#pending.addPing();
    process.send({ t: "ping", ping });
    await answered;
  }

  loads(): readonly EngineLoad[] {
    const facts = this.facts();
    const counters = this.#counters;
    return [
      {
        dpRank: 0,
        runningRequests: counters?.runningRequests ?? 0,
        waitingRequests: counters?.waitingRequests ?? 0,
        waitingPromptTokens: counters?.waitingPromptTokens ?? 0,
        usedKvTokens: counters?.usedKvTokens ?? 0,
        kvCacheTokens: facts.kvCacheTokens,
        generatedTokensPerSecond: this.#throughput.tokensPerSecond,
        cacheHitRate: counters?.cacheHitRate ?? 0,
        maxRunningRequests: facts.maxNumSeqs,
      },
    ];
  }

  tokenizerFiles(): Promise<readonly TokenizerFile[]> {
    if (this.#blueprint === undefined) return Promise.reject(this.#notReady());
    this.#tokenizerFiles ??= exportTokenizer(this.#blueprint.header, this.#options.modelPath).catch((thrown) => {
      // Not kept: a file that could not be read now may be readable later.
      this.#tokenizerFiles = undefined;
      throw thrown;
    });
    return this.#tokenizerFiles;
  }

  async flushCache(): Promise<boolean> {
    const process = this.#readyProcess();
    const { call, answered } = this.#pending.addFlush();
    process.send({ t: "flush-cache", call });
    return answered;
  }

  async #profile(message: (call: number) => ToChild): Promise<void> {
    const process = this.#readyProcess();
    const { call, answered } = this.#pending.addProfile();
    process.send(message(call));
    await answered;
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    clearTimeout(this.#restart);
    this.#enter({ t: "closed" });
    await within(graceMs, this.#pending.idle());
    for (const id of this.#pending.ids()) this.#process?.send({ t: "abort", id });
    await within(abortGraceMs, this.#pending.idle());
    await this.#process?.kill();
    this.#process = undefined;
    this.#pending.failAll(new EngineError("unavailable", "the engine was closed"));
  }

  async #load({ childOptions, factsOf }: LlamaBlueprint): Promise<LoadResult> {
    const result = await loadInChild(childOptions, {
      onSpawn: (process) => {
        this.#process = process;
      },
      onProgress: (progress) => {
        if (this.#state.t === "starting") this.#enter({ t: "starting", progress });
      },
      onMessage: (process, message) => this.#receive(process, message),
      onExit: (process, reason) => this.#died(process, reason),
    });
    if (this.#closing !== undefined) {
      if (result.t === "loaded") await result.process.kill();
      return { t: "refused", error: new EngineError("unavailable", "the engine was closed while it was starting") };
    }
    if (result.t === "loaded") {
      this.#facts = factsOf(result.model);
      this.#readyAtMs = performance.now();
      this.#options.log.debug({ engine: this.name, pid: result.process.pid }, "the model is loaded");
      this.#enter({ t: "ready" });
    }
    return result;
  }

  #receive(process: LlamaProcess, message: FromChild): void {
    if (process !== this.#process) return;
    switch (message.t) {
      case "step":
        this.#count(message.counters, message.deltas.length);
        this.kvEvents.publish({ dpRank: 0, events: message.kvEvents });
        for (const { id, delta } of message.deltas) this.#pending.delta(id, delta);
        for (const { id, error } of message.failures) this.#pending.generationFailed(id, engineError(error));
        break;
      case "embedding":
        this.#pending.embedded(message.id, { values: message.values, promptTokens: message.promptTokens });
        break;
      case "embed-failed":
        this.#pending.embeddingFailed(message.id, engineError(message.error));
        break;
      case "pong":
        this.#count(message.counters, 0);
        this.#pending.ponged(message.ping);
        break;
      case "flushed":
        this.#pending.flushed(message.call, message.flushed);
        break;
      case "profiled":
        this.#pending.profiled(message.call, message.error);
        break;
      case "loading":
      case "ready":
      case "load-failed":
        break;
      default:
        message satisfies never;
    }
  }

  #count(counters: ChildCounters, newTokens: number): void {
    this.#counters = counters;
    this.#throughput.add(newTokens);
    const { steps, generatedTokens, runningRequests, waitingRequests } = counters;
    const receivedAtMs = performance.now();
    this.#progress = { steps, generatedTokens, runningRequests, waitingRequests, receivedAtMs };
  }

  #died(process: LlamaProcess, reason: string): void {
    if (process !== this.#process) return;
    if (this.#closing !== undefined) {
      this.#pending.failAll(new EngineError("unavailable", `the engine's process ended (${reason})`));
      return;
    }
    if (performance.now() - this.#readyAtMs > provenMs) this.#backOff.reset();
    this.#lost(`the engine's process ended (${reason})`, process.lastWords);
  }

  #lost(reason: string, lastWords: readonly string[]): void {
    this.#process = undefined;
    this.#counters = undefined;
    const restartInMs = this.#backOff.next();
    this.#options.log.error({ engine: this.name, restartInMs, lastWords }, reason);
    // The state first: who hears of a failed request and asks must not read "ready".
    this.#enter({ t: "dead", reason, restartInMs });
    this.kvEvents.publish({ dpRank: 0, events: [{ t: "cleared" }] });
    this.#pending.failAll(new EngineError("unavailable", reason));
    if (restartInMs !== undefined) this.#restart = setTimeout(() => void this.#again(), restartInMs);
  }

  async #again(): Promise<void> {
    if (this.#blueprint === undefined || this.#closing !== undefined) return;
    this.#enter({ t: "starting", progress: 0 });
    const result = await this.#load(this.#blueprint);
    if (this.#closing !== undefined || result.t === "loaded") return;
    const crashed = result.t === "crashed";
    this.#lost(
      crashed ? `the engine's process ended while it was loading (${result.reason})` : result.error.message,
      crashed ? result.lastWords : [],
    );
  }

  #readyProcess(): LlamaProcess {
    if (this.#state.t !== "ready" || this.#process === undefined) throw this.#notReady();
    return this.#process;
  }

  /** The process for new work. A process that reads nothing must not make the messages to it pile up. */
  #takingProcess(): LlamaProcess {
    const process = this.#readyProcess();
    if (process.unsentBytes > mostUnsentBytes) {
      throw new EngineError("resource-exhausted", "the engine's process does not take the requests that wait for it");
    }
    return process;
  }

  #notReady(): EngineError {
    return new EngineError("unavailable", sentenceOf(this.#state));
  }

  #enter(state: EngineState): void {
    if (this.#state.t === "closed") return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

function sentenceOf(state: EngineState): string {
  switch (state.t) {
    case "idle":
    case "starting":
      return "the engine is still starting";
    case "ready":
      return "the engine's process is gone";
    case "dead":
      return state.reason;
    case "closed":
      return "the engine is closed";
  }
}

function onlyEmbeds(modelPath: string): EngineError {
  return new EngineError("failed-precondition", `${modelPath} is a model for embeddings; it cannot generate`);
}

function crashedOnLoad(modelPath: string, { reason, lastWords }: LoadResult & { t: "crashed" }): EngineError {
  const words = lastWords.length > 0 ? `; its last line: ${lastWords.at(-1)}` : "";
  return new EngineError(
    "failed-precondition",
    `the engine's process ended while loading ${modelPath} (${reason})${words}`,
  );
}

/** Waits for the promise, but not longer than this. */
async function within(limitMs: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([promise, limit]);
  clearTimeout(timer);
}
