import { randomBytes } from "node:crypto";
import type {
  DeathCause,
  EngineCoreClient,
  EngineCoreOutputs,
  EngineCoreRequest,
  ReadyFacts,
  RequestLimits,
} from "@tokenwire/engine-core";
import type { Engine, StateListener } from "../../engine/engine.ts";
import { EngineError } from "../../engine/errors.ts";
import type { EngineLoad, ModelFacts, TokenizerFile } from "../../engine/facts.ts";
import type { Embedding, GenerationSink } from "../../engine/output.ts";
import type { EmbedRequest, GenerateRequest } from "../../engine/request.ts";
import type { EngineProgress, EngineState } from "../../engine/state.ts";
import type { Log } from "../../operations/log.ts";
import type { HuggingFaceTokenizer } from "../../text/hugging-face-tokenizer.ts";
import { readTokenizerFiles } from "../tokenizer-files.ts";
import { chooseRank } from "./choose-rank.ts";
import { embeddingOf, poolingParams } from "./embedding.ts";
import { engineErrorOf } from "./engine-core-error.ts";
import type { EngineSource, LaunchEngine, LaunchedEngine } from "./engine-source.ts";
import { limitsOf, modelFactsOf } from "./facts.ts";
import { type HuggingFaceModel, readModel } from "./model/read-model.ts";
import { type OpenEmbedding, type OpenOutput, type OpenRequest, OpenWork } from "./open-work.ts";
import { OutputSequence } from "./output/output-sequence.ts";
import { StopStrings } from "./output/stop-strings.ts";
import { RankLoad } from "./rank-load.ts";
import { tokenizePrompt } from "./request/tokenize-prompt.ts";
import { wireSamplingParams } from "./request/wire-sampling-params.ts";
import { stepOutputOf } from "./step-output.ts";
import { type EngineTenure, takeEngineTenure } from "./takeover/engine-tenure.ts";

export interface VllmEngineOptions {
  /** The model's folder, in Hugging Face's form. */
  readonly modelPath: string;
  readonly source: EngineSource;
  /** Where engines report, `tcp://host:port`; undefined is a free port of this machine alone. */
  readonly handshakeAddress: string | undefined;
  /** `tcp://` or `ipc://`; undefined is a free port beside the handshake's. */
  readonly inputAddress: string | undefined;
  readonly outputAddress: string | undefined;
  readonly dataParallelSize: number;
  /** Where the next front end finds what it needs to take the engines over; undefined: engines of ours have a file of their own. */
  readonly statePath?: string | undefined;
  /** Leave engines of ours running at the end, for the next front end. Default false. */
  readonly keepEngine?: boolean | undefined;
  /** Starts engines of a managed source in place of `vllm serve`; nothing is left for a next front end then. */
  readonly launch?: LaunchEngine | undefined;
  readonly log: Log;
}

const localHandshake = "tcp://127.0.0.1:*";
/** An engine that runs and is ours can be reached within a fraction of a second, or is beyond help. */
const takeoverLimitMs = 10_000;

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

/** One data-parallel rank. */
interface Rank {
  readonly load: RankLoad;
  isAlive: boolean;
}

/** What is there from the moment that the engines were ready. */
interface Running {
  readonly client: EngineCoreClient;
  readonly model: HuggingFaceModel;
  readonly facts: ModelFacts;
  readonly ends: ReadonlySet<number>;
  readonly ranks: readonly Rank[];
  readonly canEmbed: boolean;
  /** Of the package that is loaded when an engine starts. */
  readonly checkRequest: (request: EngineCoreRequest, limits: RequestLimits) => void;
  readonly limits: RequestLimits;
}

class VllmEngine implements Engine {
  readonly name = "vllm";
  readonly #options: VllmEngineOptions;
  readonly #listeners = new Set<StateListener>();
  readonly #work = new OpenWork();
  readonly #starting = new AbortController();
  /** Begins every id that we give an engine: an earlier front end may have left requests of its own there. */
  readonly #idPrefix = `${randomBytes(4).toString("hex")}-`;
  #ids = 0;
  #state: EngineState = { t: "idle" };
  #client: EngineCoreClient | undefined;
  #running: Running | undefined;
  #tenure: EngineTenure | undefined;
  #launched: LaunchedEngine | undefined;
  #lastRank = -1;
  #steps = 0;
  #generatedTokens = 0;
  #receivedAtMs: number | undefined;
  #pausedBecause: string | undefined;
  #tokenizerFiles: Promise<readonly TokenizerFile[]> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: VllmEngineOptions) {
    this.#options = options;
  }

  get state(): EngineState {
    return this.#state;
  }

  get progress(): EngineProgress | undefined {
    const receivedAtMs = this.#receivedAtMs;
    if (receivedAtMs === undefined || this.#running === undefined) return undefined;
    let runningRequests = 0;
    let waitingRequests = 0;
    for (const { load } of this.#liveRanks()) {
      runningRequests += load.load.runningRequests;
      waitingRequests += load.load.waitingRequests;
    }
    return {
      steps: this.#steps,
      generatedTokens: this.#generatedTokens,
      runningRequests,
      waitingRequests,
      receivedAtMs,
    };
  }

  get processIds(): readonly number[] {
    return this.#launched?.processIds ?? [];
  }

  get pausedBecause(): string | undefined {
    return this.#pausedBecause;
  }

  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    this.#enter({ t: "starting", progress: undefined });
    try {
      const model = await readModel(this.#options.modelPath);
      if ("missingBecause" in model.tokenizer) {
        this.#options.log.warn(
          { engine: this.name },
          `no text prompts and no stop strings: ${model.tokenizer.missingBecause}`,
        );
      }
      await this.#connect(model);
    } catch (thrown) {
      const error = this.#closing === undefined ? engineErrorOf(thrown) : closedWhileStarting();
      this.#enter({ t: "dead", reason: error.message, restartInMs: undefined });
      await this.#releaseEngines();
      throw error;
    }
  }

  facts(): ModelFacts {
    return this.#known().facts;
  }

  generate(request: GenerateRequest, sink: GenerationSink): void {
    const running = this.#takingWork();
    const { prompt, dataParallelRank } = request;
    if (!running.facts.isGeneration) throw onlyEmbeds(running.facts);
    if (this.#work.request(request.id) !== undefined) {
      throw new EngineError("internal", `request id ${request.id} is in flight`);
    }
    if (dataParallelRank !== undefined) assertRank(running, dataParallelRank);
    if (prompt.kind === "tokens") {
      this.#hand(running, request, Array.from(prompt.tokenIds), sink);
      return;
    }
    let tokenIds: readonly number[];
    try {
      const tokenizer = requireTokenizer(running.model, "text");
      const { maxModelLenTokens } = running.facts;
      tokenIds = tokenizePrompt(tokenizer, prompt.text, prompt.truncateToTokens, maxModelLenTokens);
    } catch (thrown) {
      // What is wrong with a text shows only here, and the sink hears of it after we have returned.
      queueMicrotask(() => sink.failed(EngineError.from(thrown)));
      return;
    }
    this.#hand(running, request, tokenIds, sink);
  }

  abort(requestId: string): void {
    const request = this.#work.request(requestId);
    if (request === undefined) return;
    for (const { sequence } of this.#takeBack(request)) sequence.abort();
  }

  async embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedding> {
    const running = this.#takingWork();
    if (!running.canEmbed) throw new EngineError("unimplemented", `${running.facts.modelPath} makes no embeddings`);
    if (signal.aborted) throw givenUp();
    const { rank } = this.#chooseRank(running, undefined);
    const promptTokenIds = Array.from(request.tokenIds);
    const coreId = this.#nextId();
    const { promise, resolve, reject } = Promise.withResolvers<Embedding>();
    const entry: OpenEmbedding = { t: "embedding", coreId, rank, promptTokens: promptTokenIds.length, resolve, reject };
    const core = { requestId: coreId, promptTokenIds, poolingParams };
    this.#check(running, core);
    this.#send(running, rank, core);
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
    const running = this.#ready();
    const live = this.#liveRanks().map(({ rank }) => rank);
    const paused = await Promise.all(live.map((rank) => this.#checkRank(running, rank)));
    this.#pausedBecause = paused.find((because) => because !== undefined);
    // An engine that died while it was asked answers nothing; the others speak for the rest.
    this.#ready();
  }

  loads(): readonly EngineLoad[] {
    this.#known();
    return this.#liveRanks().map(({ load }) => load.load);
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
    const { client } = this.#ready();
    const live = this.#liveRanks().map(({ rank }) => rank);
    try {
      // Not of running requests, and not of a connector's (vllm/v1/engine/core.py, reset_prefix_cache).
      const flushed = await Promise.all(live.map((rank) => client.call(rank, "reset_prefix_cache", [false, false])));
      return flushed.every((each) => each === true);
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
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
    await this.#releaseEngines();
  }

  /** Closes our sockets and stops the engines that we started, unless they are to be kept; those of others live on. */
  async #releaseEngines(): Promise<void> {
    const client = this.#client;
    const tenure = this.#tenure;
    this.#client = undefined;
    this.#tenure = undefined;
    this.#launched = undefined;
    await client?.close();
    await tenure?.end();
  }

  async #connect(model: HuggingFaceModel): Promise<void> {
    this.#tenure = await takeEngineTenure(this.#options);
    const { client, ready } = await this.#takeOverOrWait(this.#tenure);
    const tasks = await client.call(0, "get_supported_tasks", [], this.#starting.signal);
    if (this.#closing !== undefined) throw closedWhileStarting();
    const { checkRequest } = await import("@tokenwire/engine-core");
    this.#running = runningWith({ client, model, ready, tasks, checkRequest });
    this.#tenure.remember(client.remember());
    const { log } = this.#options;
    log.debug({ engine: this.name, version: ready[0]?.vllmVersion, ranks: ready.length }, "the engines are ready");
    this.#enter({ t: "ready" });
  }

  async #takeOverOrWait(
    tenure: EngineTenure,
  ): Promise<{ readonly client: EngineCoreClient; readonly ready: readonly ReadyFacts[] }> {
    const { resume } = tenure;
    const client = await this.#bind(tenure);
    if (this.#closing !== undefined) throw closedWhileStarting();
    this.#launch(client, tenure);
    // Engines of others may come whenever they like; ours is there or will never be.
    const isOurs = resume !== undefined && this.#options.source.t === "managed";
    if (!isOurs) return { client, ready: await client.ready(this.#starting.signal) };
    const limit = AbortSignal.timeout(takeoverLimitMs);
    try {
      return { client, ready: await client.ready(AbortSignal.any([this.#starting.signal, limit])) };
    } catch (thrown) {
      if (!limit.aborted || this.#closing !== undefined) throw thrown;
      this.#options.log.warn(
        { engine: this.name },
        "the running engine does not answer; it ends, and a new one starts",
      );
      await client.close();
      await tenure.discard();
      return this.#takeOverOrWait(tenure);
    }
  }

  async #bind({ resume, addresses }: EngineTenure): Promise<EngineCoreClient> {
    const { handshakeAddress, inputAddress, outputAddress, dataParallelSize, log } = this.#options;
    const { createEngineCoreClient } = await import("@tokenwire/engine-core");
    const client = await createEngineCoreClient({
      handshakeAddress: handshakeAddress ?? localHandshake,
      inputAddress: inputAddress ?? addresses?.input,
      outputAddress: outputAddress ?? addresses?.output,
      engineCount: dataParallelSize,
      resume,
      onOutputs: (message) => this.#receive(message),
      onDeath: (rank, cause, error) => this.#died(rank, cause, error.message),
      onBadFrame: (error) => log.error({ engine: this.name, reason: "bad-frame", err: error }, error.message),
      onReturn: (rank, facts) => this.#returned(rank, facts),
    });
    this.#client = client;
    return client;
  }

  #launch(client: EngineCoreClient, tenure: EngineTenure): void {
    const { modelPath, dataParallelSize, log } = this.#options;
    const { handshake } = client.addresses;
    this.#launched = tenure.launch({
      modelPath,
      handshake: hostAndPort(handshake),
      dataParallelSize,
      onProgress: (progress) => {
        if (this.#state.t === "starting") this.#enter({ t: "starting", progress });
      },
      onExit: (reason, lastLines) => this.#exited(reason, lastLines),
    });
    if (this.#launched === undefined && tenure.resume === undefined) {
      log.info({ engine: this.name, address: handshake }, "waiting for engines of vllm serve --headless");
    }
  }

  /** Hands a request over as n requests of the engine, or throws before the first was sent. */
  #hand(running: Running, request: GenerateRequest, prompt: readonly number[], sink: GenerationSink): void {
    const { sampling, priority, traceHeaders } = request;
    const { model, facts, ends } = running;
    const stopFacts = { ...model, maxModelLenTokens: facts.maxModelLenTokens };
    const params = Array.from({ length: sampling.n }, (_, index) =>
      wireSamplingParams(sampling, stopFacts, prompt.length, index),
    );
    // Those of the other outputs differ in the seed alone.
    this.#check(running, {
      requestId: request.id,
      promptTokenIds: prompt,
      samplingParams: params[0],
      priority,
      traceHeaders,
    });
    const open = this.#work.openRequest(request.id, sink);
    try {
      params.forEach((samplingParams, index) => {
        const { rank, load } = this.#chooseRank(running, request.dataParallelRank);
        const requestId = this.#nextId();
        const core = { requestId, promptTokenIds: prompt, samplingParams, priority, traceHeaders };
        this.#send(running, rank, core);
        const stops = sampling.stop.length === 0 ? undefined : stopStringsOf(model, request, prompt);
        const sequence = new OutputSequence({ request, index, prompt, sink, stops, eosTokenIds: ends });
        this.#work.addOutput({ t: "output", coreId: requestId, rank, load, request: open, sequence, tokens: 0 });
      });
    } catch (thrown) {
      this.#takeBack(open);
      throw thrown;
    }
  }

  /** Refuses what would kill an engine or leave it deaf, with every request that it has. */
  #check({ checkRequest, limits }: Running, request: EngineCoreRequest): void {
    try {
      checkRequest(request, limits);
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
  }

  #send(running: Running, rank: number, request: EngineCoreRequest): void {
    try {
      running.client.add(rank, request);
    } catch (thrown) {
      throw engineErrorOf(thrown);
    }
  }

  /** One message holds all that a step of one engine has to say: a single pass, and nothing is made per token but its delta. */
  #receive(message: EngineCoreOutputs): void {
    const { outputs, engineIndex } = message;
    this.#receivedAtMs = performance.now();
    const rank = this.#running?.ranks[engineIndex];
    if (rank !== undefined) this.#sample(rank, message);
    if (outputs.length === 0) return;
    this.#steps += 1;
    for (const output of outputs) {
      const entry = this.#work.find(output.requestId);
      // Nobody here waits for what was on its way when it was aborted.
      if (entry === undefined) continue;
      if (entry.t === "output") this.#step(entry, output);
      else this.#embedded(entry, output);
    }
  }

  #step(entry: OpenOutput, output: EngineCoreOutputs["outputs"][number]): void {
    const { sequence, load } = entry;
    const hadBegun = sequence.hasBegun;
    const tokens = output.newTokenIds.length;
    this.#generatedTokens += tokens;
    const after = sequence.step(stepOutputOf(output));
    if (!hadBegun && sequence.hasBegun) load.began(sequence);
    entry.tokens += tokens;
    load.generated(tokens);
    switch (after) {
      case "goes on":
        return;
      case "cut":
        this.#client?.abort(entry.rank, [entry.coreId]);
        this.#work.outputEnded(entry);
        return;
      case "ended":
        this.#work.outputEnded(entry);
        return;
      case "failed":
        this.#work.outputEnded(entry);
        for (const other of this.#takeBack(entry.request)) other.sequence.silence();
        return;
    }
  }

  #embedded(entry: OpenEmbedding, output: EngineCoreOutputs["outputs"][number]): void {
    const { poolingOutput, finishReason, error } = output;
    if (poolingOutput === undefined && finishReason === undefined) return;
    this.#work.embeddingEnded(entry);
    if (poolingOutput !== undefined) {
      entry.resolve(embeddingOf(poolingOutput, entry.promptTokens));
      return;
    }
    const because = error ?? `it ended it with ${finishReason}`;
    entry.reject(new EngineError("unavailable", `the engine pooled nothing: ${because}`));
  }

  #sample(rank: Rank, message: EngineCoreOutputs): void {
    try {
      const stats = message.schedulerStats();
      if (stats !== undefined) rank.load.sampled(stats);
    } catch (thrown) {
      this.#options.log.error({ engine: this.name, reason: "bad-frame", err: thrown }, "statistics that are none");
    }
  }

  /** Ends a request's outputs in the engines; the answer is what they were. */
  #takeBack(request: OpenRequest): readonly OpenOutput[] {
    const outputs = this.#work.closeRequest(request);
    for (const { rank, coreId } of outputs) this.#client?.abort(rank, [coreId]);
    return outputs;
  }

  async #checkRank({ client }: Running, rank: number): Promise<string | undefined> {
    const ask = (method: string): Promise<unknown> =>
      // An engine without the method says so, which is no pause.
      client.call(rank, method).catch(() => undefined);
    try {
      const [, isSleeping, isPaused] = await Promise.all([
        // Through the scheduler's loop and the workers. Never with a timeout among the arguments: when it expires, the late
        // answer is taken for the next step's output, and the engine dies.
        client.call(rank, "collective_rpc", ["check_health", null, [], {}]),
        ask("is_sleeping"),
        ask("is_scheduler_paused"),
      ]);
      if (isSleeping === true) return `engine ${rank} sleeps`;
      return isPaused === true ? `the scheduler of engine ${rank} is paused` : undefined;
    } catch (thrown) {
      if (this.#running?.ranks[rank]?.isAlive === true) throw engineErrorOf(thrown);
      return undefined;
    }
  }

  #died(index: number, cause: DeathCause, sentence: string): void {
    const { log } = this.#options;
    const rank = this.#running?.ranks[index];
    if (rank !== undefined) rank.isAlive = false;
    if (this.#closing !== undefined) return;
    log.error({ engine: this.name, rank: index, cause }, sentence);
    // The state first: who hears of a failed request and asks must not read "ready".
    if (this.#liveRanks().length === 0) this.#enter({ t: "dead", reason: sentence, restartInMs: undefined });
    const error = new EngineError("unavailable", sentence);
    const { requests, embeddings } = this.#work.onRank(index);
    for (const request of requests) this.#fail(request, error);
    for (const embedding of embeddings) {
      this.#work.embeddingEnded(embedding);
      embedding.reject(error);
    }
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
    for (const { rank } of this.#liveRanks()) this.#client?.tellDead(rank, reason);
  }

  /** A rank that was lost is served by another process. */
  #returned(index: number, facts: ReadyFacts): void {
    const rank = this.#running?.ranks[index];
    if (rank === undefined || this.#closing !== undefined) return;
    rank.isAlive = true;
    this.#options.log.info({ engine: this.name, rank: index, version: facts.vllmVersion }, "an engine is back");
    if (this.#state.t === "dead") this.#enter({ t: "ready" });
  }

  #fail(request: OpenRequest, error: EngineError): void {
    this.#takeBack(request);
    request.sink.failed(error);
  }

  #failAll(error: EngineError): void {
    for (const request of this.#work.requests()) this.#fail(request, error);
    const ranks = this.#running?.ranks ?? [];
    for (const index of ranks.keys()) {
      for (const embedding of this.#work.onRank(index).embeddings) {
        this.#work.embeddingEnded(embedding);
        this.#client?.abort(index, [embedding.coreId]);
        embedding.reject(error);
      }
    }
  }

  #chooseRank(running: Running, pinned: number | undefined): { readonly rank: number; readonly load: RankLoad } {
    const live = this.#liveRanks();
    if (pinned !== undefined) {
      const { load, isAlive } = running.ranks[pinned] ?? {};
      if (load === undefined || isAlive !== true) {
        throw new EngineError("unavailable", `data-parallel rank ${pinned} is lost`);
      }
      return { rank: pinned, load };
    }
    const rank = live.length === 1 ? live[0]?.rank : chooseRank(live.map(choiceOf), this.#lastRank);
    const load = rank === undefined ? undefined : running.ranks[rank]?.load;
    if (rank === undefined || load === undefined) throw this.#notReady();
    this.#lastRank = rank;
    return { rank, load };
  }

  #liveRanks(): readonly { readonly rank: number; readonly load: RankLoad }[] {
    const ranks = this.#running?.ranks ?? [];
    return ranks.flatMap(({ load, isAlive }, rank) => (isAlive ? [{ rank, load }] : []));
  }

  #nextId(): string {
    this.#ids += 1;
    return `${this.#idPrefix}${this.#ids.toString(36)}`;
  }

  #known(): Running {
    if (this.#running === undefined) throw this.#notReady();
    return this.#running;
  }

  #ready(): Running {
    if (this.#state.t !== "ready") throw this.#notReady();
    return this.#known();
  }

  #takingWork(): Running {
    return this.#ready();
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

function runningWith({
  client,
  model,
  ready,
  tasks,
  checkRequest,
}: Pick<Running, "client" | "model" | "checkRequest"> & {
  readonly ready: readonly ReadyFacts[];
  readonly tasks: unknown;
}): Running {
  const names = Array.isArray(tasks) ? tasks.filter((name) => typeof name === "string") : [];
  const facts = modelFactsOf(model, ready, names.includes("generate"));
  return {
    client,
    model,
    facts,
    ends: new Set(facts.eosTokenIds),
    ranks: ready.map((each, rank) => ({ load: new RankLoad(rank, limitsOf(each)), isAlive: true })),
    canEmbed: names.includes("embed"),
    checkRequest,
    limits: {
      vocabSize: facts.vocabSize,
      maxModelLenTokens: facts.maxModelLenTokens,
      tasks: names,
      supportsLora: ready.every((each) => each.supportsLora),
    },
  };
}

function choiceOf({ rank, load }: { readonly rank: number; readonly load: RankLoad }) {
  return { rank, open: load.open, maxRunningRequests: load.maxNumSeqs };
}

function stopStringsOf(model: HuggingFaceModel, { sampling }: GenerateRequest, prompt: readonly number[]): StopStrings {
  const tokenizer = requireTokenizer(model, "sampling_params.stop");
  return new StopStrings(sampling.stop, sampling.minTokens, (ids) => tokenizer.decode(ids, false), prompt);
}

function requireTokenizer({ tokenizer }: HuggingFaceModel, field: string): HuggingFaceTokenizer {
  if ("encode" in tokenizer) return tokenizer;
  throw new EngineError("failed-precondition", `${field}: needs a tokenizer, and ${tokenizer.missingBecause}`, {
    field,
  });
}

function assertRank({ ranks }: Running, rank: number): void {
  if (Number.isInteger(rank) && rank >= 0 && rank < ranks.length) return;
  const field = "data_parallel_rank";
  throw new EngineError("invalid-argument", `${field}: must be from 0 to ${ranks.length - 1}, got ${rank}`, { field });
}

function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const [, host = "", port = ""] = /^tcp:\/\/(.*):(\d+)$/.exec(address) ?? [];
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
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

function onlyEmbeds({ modelPath }: ModelFacts): EngineError {
  return new EngineError("failed-precondition", `${modelPath} is a model for embeddings; it cannot generate`);
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
