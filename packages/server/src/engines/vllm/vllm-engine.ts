import { randomBytes } from "node:crypto";
import type { DeathCause, EngineCoreError, ReadyFacts } from "@tokenwire/engine-core";
import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import type { KvEventSource } from "../../engine/kv-events.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { EngineProfiler } from "../../engine/profiler.ts";
import type { EmbedRequest, GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import { readTokenizerFiles } from "../tokenizer-files.ts";
import { checkRank } from "./check-rank.ts";
import { engineErrorOf } from "./engine-core-error.ts";
import { EngineLink, type EngineLinkOptions, type LinkedEngines } from "./engine-link.ts";
import { readModel } from "./model/read-model.ts";
import { type OpenEmbedding, type OpenOutput, type OpenRequest, OpenWork } from "./open-work.ts";
import { OutputSequence } from "./output/output-sequence.ts";
import { OutputIntake } from "./output-intake.ts";
import { PrefixCaches } from "./prefix-cache/prefix-caches.ts";
import { Ranks } from "./ranks.ts";
import { type CoreRequest, CoreRequests } from "./request/core-requests.ts";

export type VllmEngineOptions = EngineLinkOptions;

/**
 * vLLM's engine cores behind the engine contract. Requests, their outputs and what is to be known of health go over
 * `@tokenwire/engine-core`; detokenizing for stop strings, n outputs and the end of an aborted output are done here,
 * because vLLM's engine leaves them to its front end.
 *
 * An engine that dies takes its requests with it (`unavailable`). While another rank lives the engine stays ready; when none
 * does it is dead for good, because nothing here starts vLLM again.
 */
export function createVllmEngine(options: VllmEngineOptions): Engine {
  return new VllmEngine(options);
}

const badFrameLogEveryMs = 1_000;

/** What is there from the moment that the engines were ready. */
interface Running extends LinkedEngines {
  readonly requests: CoreRequests;
  readonly ranks: Ranks;
}

class VllmEngine implements Engine {
  readonly name = "vllm";
  readonly #options: VllmEngineOptions;
  readonly #listeners = new Set<StateListener>();
  readonly #work = new OpenWork();
  readonly #intake: OutputIntake;
  readonly #link: EngineLink;
  readonly #caches: PrefixCaches;
  readonly #starting = new AbortController();
  /** Begins every id that we give an engine: an earlier front end may have left requests of its own there. */
  readonly #idPrefix = `${randomBytes(4).toString("hex")}-`;
  #ids = 0;
  #state: EngineState = { t: "idle" };
  #running: Running | undefined;
  #badFrameLoggedAtMs = Number.NEGATIVE_INFINITY;
  #pausedBecause: string | undefined;
  #tokenizerFiles: Promise<readonly TokenizerFile[]> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: VllmEngineOptions) {
    this.#options = options;
    this.#caches = new PrefixCaches(options.log);
    this.#intake = new OutputIntake({
      work: this.#work,
      log: options.log,
      abort: ({ rank, coreId }) => this.#link.client?.abort(rank, [coreId]),
      takeBack: (request) => this.#takeBack(request),
    });
    this.#link = new EngineLink(options, {
      onOutputs: (message) => {
        this.#running?.ranks.received(message);
        this.#intake.receive(message);
      },
      onDeath: (rank, cause, error) => this.#died(rank, cause, error.message),
      onReturn: (rank, facts) => this.#returned(rank, facts),
      onBadFrame: (error) => this.#badFrame(error),
      onProgress: (progress) => {
        if (this.#state.t === "starting") this.#enter({ t: "starting", progress });
      },
      onExit: (reason, lastLines) => this.#exited(reason, lastLines),
    });
  }

  get state(): EngineState {
    return this.#state;
  }

  get progress(): EngineProgress | undefined {
    const { steps, generatedTokens, receivedAtMs } = this.#intake;
    if (receivedAtMs === undefined || this.#running === undefined) return undefined;
    let runningRequests = 0;
    let waitingRequests = 0;
    for (const load of this.#running.ranks.loads) {
      runningRequests += load.runningRequests;
      waitingRequests += load.waitingRequests;
    }
    return { steps, generatedTokens, runningRequests, waitingRequests, receivedAtMs };
  }

  /** Without `--kv-events-config` of vLLM's nothing is told; the load is known all the same. */
  get kvEvents(): KvEventSource {
    return this.#caches.feed;
  }

  /** With its statistics on, the engine sends a message with every step; they are seen with the first. */
  get reportsSteps(): boolean {
    return this.#intake.reportsSteps;
  }

  get processIds(): readonly number[] {
    return this.#link.processIds;
  }

  get pausedBecause(): string | undefined {
    return this.#pausedBecause;
  }

  /** vLLM's own, whose form and folder `vllm serve --profiler-config` settled. */
  readonly profiler: EngineProfiler = {
    takesPath: false,
    start: () => this.#callAll("profile", [true]),
    stop: () => this.#callAll("profile", [false]),
  };

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    const { modelPath, log } = this.#options;
    this.#enter({ t: "starting", progress: undefined });
    try {
      // All at one time: what is given away is what is used here, also when the folder is gone or another by then.
      const files = await this.tokenizerFiles().catch((thrown: unknown) => {
        log.warn({ engine: this.name }, `the tokenizer cannot be given away: ${EngineError.from(thrown).message}`);
        return [];
      });
      const model = await readModel(modelPath, files);
      if ("missingBecause" in model.tokenizer) {
        log.warn({ engine: this.name }, `no text prompts and no stop strings: ${model.tokenizer.missingBecause}`);
      }
      const linked = await this.#link.connect(this.#starting.signal);
      const requests = await CoreRequests.create(model, files, linked);
      const { client, ready, wereRunning: wasRunning } = linked;
      await Promise.all(
        ready.map((facts) => this.#caches.follow({ facts, host: client.engineHost(facts.engineIndex), wasRunning })),
      );
      this.#starting.signal.throwIfAborted();
      this.#running = { ...linked, requests, ranks: new Ranks(ready) };
      log.debug({ engine: this.name, version: ready[0]?.vllmVersion, ranks: ready.length }, "the engines are ready");
      this.#enter({ t: "ready" });
    } catch (thrown) {
      const error = this.#closing === undefined ? engineErrorOf(thrown) : closedWhileStarting();
      this.#enter({ t: "dead", reason: error.message, restartInMs: undefined });
      this.#caches.close();
      await this.#link.release();
      throw error;
    }
  }

  facts(): ModelFacts {
    return this.#known().requests.facts;
  }

  generate(request: GenerateRequest, sink: GenerationSink): void {
    const running = this.#ready();
    const { prompt, dataParallelRank } = request;
    if (this.#work.request(request.id) !== undefined) {
      throw new EngineError("internal", `request id ${request.id} is in flight`);
    }
    if (dataParallelRank !== undefined) running.ranks.assertKnown(dataParallelRank);
    let tokenIds: readonly number[] | Promise<readonly number[]>;
    try {
      tokenIds = running.requests.tokenIdsOf(prompt);
    } catch (thrown) {
      // What is wrong with a text shows only here, and the sink hears of it after we have returned.
      queueMicrotask(() => sink.failed(EngineError.from(thrown)));
      return;
    }
    const open = this.#work.openRequest(request.id, request.sampling.n, sink);
    if (tokenIds instanceof Promise) void this.#handLater(running, request, tokenIds, open);
    else this.#hand(running, request, tokenIds, open);
  }

  abort(requestId: string): void {
    const request = this.#work.request(requestId);
    if (request === undefined) return;
    const isUnsent = request.outputs.size === 0;
    for (const { sequence } of this.#takeBack(request)) sequence.abort();
    if (!isUnsent) return;
    for (let index = 0; index < request.unsentOutputs; index++) {
      request.sink.delta({ index, tokenIds: [], promptTokens: 0, cachedTokens: 0, finish: { reason: "abort" } });
    }
  }

  async embed({ tokenIds }: EmbedRequest, signal: AbortSignal): Promise<Embedding> {
    const running = this.#ready();
    const request = running.requests.embedding(tokenIds);
    if (signal.aborted) throw givenUp();
    const { rank } = running.ranks.choose(undefined);
    const coreId = this.#send(running, rank, request);
    const { promise, resolve, reject } = Promise.withResolvers<Embedding>();
    const entry: OpenEmbedding = { t: "embedding", coreId, rank, promptTokens: tokenIds.length, resolve, reject };
    this.#work.addEmbedding(entry);
    const giveUp = (): void => {
      if (!this.#work.embeddingEnded(entry)) return;
      running.client.abort(rank, [coreId]);
      reject(givenUp());
    };
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async checkHealth(): Promise<void> {
    const { client, ranks } = this.#ready();
    const check = async (rank: number): Promise<string | undefined> => {
      try {
        return await checkRank(client, rank);
      } catch (thrown) {
        // One that died while it was asked answers nothing; the others speak for the rest.
        if (ranks.isAlive(rank)) throw engineErrorOf(thrown);
        return undefined;
      }
    };
    const paused = await Promise.all(ranks.live.map(check));
    this.#pausedBecause = paused.find((because) => because !== undefined);
    this.#ready();
  }

  loads(): readonly EngineLoad[] {
    return this.#known().ranks.loads;
  }

  tokenizerFiles(): Promise<readonly TokenizerFile[]> {
    this.#tokenizerFiles ??= readTokenizerFiles(this.#options.modelPath).catch((thrown: unknown) => {
      // Not kept: a file that could not be read now may be readable later.
      this.#tokenizerFiles = undefined;
      throw thrown;
    });
    return this.#tokenizerFiles;
  }

  async flushCache(): Promise<boolean> {
    const { live } = this.#ready().ranks;
    // Not of running requests, and not of a connector's (vllm/v1/engine/core.py, reset_prefix_cache).
    const flushed = await this.#askAll("reset_prefix_cache", [false, false]);
    for (const [index, rank] of live.entries()) if (flushed[index] === true) this.#caches.flushed(rank);
    return flushed.every((each) => each === true);
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    this.#enter({ t: "closed" });
    this.#starting.abort();
    await within(graceMs, this.#work.idle());
    this.#failAll(new EngineError("unavailable", "the engine was closed"));
    // The aborts leave at the end of this turn; a core that lives on must hear them before the sockets close.
    await new Promise((resolve) => setImmediate(resolve));
    this.#caches.close();
    await this.#running?.requests.close();
    await this.#link.release();
  }

  async #handLater(
    running: Running,
    request: GenerateRequest,
    tokenIds: Promise<readonly number[]>,
    open: OpenRequest,
  ): Promise<void> {
    let prompt: readonly number[];
    try {
      prompt = await tokenIds;
    } catch (thrown) {
      if (this.#isOpen(open)) this.#fail(open, EngineError.from(thrown));
      return;
    }
    // It may have been aborted meanwhile.
    if (!this.#isOpen(open)) return;
    try {
      this.#hand(running, request, prompt, open);
    } catch (thrown) {
      open.sink.failed(EngineError.from(thrown));
    }
  }

  #isOpen(request: OpenRequest): boolean {
    return this.#work.request(request.id) === request;
  }

  /** Hands a request over as n requests of the engine, or throws, leaves none there and forgets it. */
  #hand(running: Running, request: GenerateRequest, prompt: readonly number[], open: OpenRequest): void {
    const { requests, ranks } = running;
    const { sink } = open;
    const eosTokenIds = requests.ends;
    try {
      requests.generation(request, prompt).forEach((core, index) => {
        const stops = requests.stopStrings(request, prompt);
        const sequence = new OutputSequence({ request, index, prompt, sink, stops, eosTokenIds });
        const { rank, load } = ranks.choose(request.dataParallelRank);
        const coreId = this.#send(running, rank, core);
        this.#work.addOutput({ t: "output", coreId, rank, load, request: open, sequence, tokens: 0 });
      });
    } catch (thrown) {
      this.#takeBack(open);
      throw thrown;
    }
  }

  /** Answers the id under which the engine has it. */
  #send({ client }: Running, rank: number, request: CoreRequest): string {
    this.#ids += 1;
    const requestId = `${this.#idPrefix}${this.#ids.toString(36)}`;
    try {
      client.add(rank, { requestId, ...request });
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
    return requestId;
  }

  /** Ends a request's outputs in the engines; the answer is what they were. */
  #takeBack(request: OpenRequest): readonly OpenOutput[] {
    const outputs = this.#work.closeRequest(request);
    for (const { rank, coreId } of outputs) this.#link.client?.abort(rank, [coreId]);
    return outputs;
  }

  /** Asks every live engine at once. */
  async #askAll(method: string, args: readonly boolean[]): Promise<readonly unknown[]> {
    const { client, ranks } = this.#ready();
    try {
      return await Promise.all(ranks.live.map((rank) => client.call(rank, method, args)));
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
  }

  async #callAll(method: string, args: readonly boolean[]): Promise<void> {
    await this.#askAll(method, args);
  }

  #died(rank: number, cause: DeathCause, sentence: string): void {
    const ranks = this.#running?.ranks;
    ranks?.lost(rank);
    this.#caches.lost(rank);
    if (this.#closing !== undefined) return;
    this.#options.log.error({ engine: this.name, rank, cause }, sentence);
    // The state first: who hears of a failed request and asks must not read "ready".
    if (ranks !== undefined && ranks.live.length === 0) {
      this.#enter({ t: "dead", reason: sentence, restartInMs: undefined });
    }
    this.#failOnRank(rank, new EngineError("unavailable", sentence));
  }

  /** Outputs that were lost leave holes in streams that nobody could see: better an end that is told. */
  #badFrame(error: EngineCoreError): void {
    const nowMs = performance.now();
    // An engine of an unknown version may send one with every step.
    if (nowMs - this.#badFrameLoggedAtMs >= badFrameLogEveryMs) {
      this.#badFrameLoggedAtMs = nowMs;
      this.#options.log.error({ engine: this.name, reason: "bad-frame", err: error }, error.message);
    }
    const { fault } = error;
    if (fault.kind !== "bad-frame" || fault.lostOutputsOf === undefined) return;
    this.#failOnRank(fault.lostOutputsOf, new EngineError("unavailable", `outputs were lost: ${error.message}`));
  }

  /** The engine's own process ended, as its owner saw. */
  #exited(reason: string, lastLines: readonly string[]): void {
    if (this.#closing !== undefined) return;
    this.#options.log.error({ engine: this.name, lastLines }, reason);
    if (this.#running === undefined) {
      const words = lastLines.length > 0 ? `; its last line: ${lastLines.at(-1)}` : "";
      this.#starting.abort(new EngineError("failed-precondition", `${reason}${words}`));
      return;
    }
    for (const rank of this.#running.ranks.live) this.#link.client?.tellDead(rank, reason);
  }

  /** A rank that was lost is served by another process. */
  #returned(rank: number, facts: ReadyFacts): void {
    if (this.#running === undefined || this.#closing !== undefined) return;
    this.#running.ranks.returned(rank, facts);
    // The same process may be back, with all that it held.
    void this.#caches.follow({ facts, host: this.#running.client.engineHost(rank), wasRunning: true });
    this.#options.log.info({ engine: this.name, rank, version: facts.vllmVersion }, "an engine is back");
    if (this.#state.t === "dead") this.#enter({ t: "ready" });
  }

  #fail(request: OpenRequest, error: EngineError): void {
    this.#takeBack(request);
    request.sink.failed(error);
  }

  #failOnRank(rank: number, error: EngineError): void {
    const { requests, embeddings } = this.#work.onRank(rank);
    for (const request of requests) this.#fail(request, error);
    for (const embedding of embeddings) {
      this.#work.embeddingEnded(embedding);
      this.#link.client?.abort(rank, [embedding.coreId]);
      embedding.reject(error);
    }
  }

  #failAll(error: EngineError): void {
    for (const rank of this.#running?.ranks.live ?? []) this.#failOnRank(rank, error);
    for (const request of this.#work.requests()) this.#fail(request, error);
  }

  #known(): Running {
    if (this.#running === undefined) throw this.#notReady();
    return this.#running;
  }

  #ready(): Running {
    if (this.#state.t !== "ready") throw this.#notReady();
    return this.#known();
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
      return "the engine is gone";
    case "dead":
      return state.reason;
    case "closed":
      return "the engine is closed";
  }
}

function closedWhileStarting(): EngineError {
  return new EngineError("unavailable", "the engine was closed while it was starting");
}

function givenUp(): EngineError {
  return new EngineError("unavailable", "the embedding was given up");
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
