import type { EngineLoad, ModelFacts, TokenizerFile } from "./facts.ts";
import type { KvEventSource } from "./kv-events.ts";
import type { Embedding, GenerationSink } from "./output.ts";
import type { EngineProfiler } from "./profiler.ts";
import type { EmbedRequest, GenerateRequest } from "./request.ts";
import type { EngineProgress, EngineState } from "./state.ts";

export type StateListener = (state: EngineState) => void;

/**
 * The part that AsyncLLM plays in vLLM: it takes requests, pushes outputs, and says how it is.
 *
 * Every engine passes `engine/testing/engine-contract.ts`. All errors are {@link EngineError}.
 */
export interface Engine {
  /** Short and stable, for logs and flags: "llama", "mock", "vllm". */
  readonly name: string;
  readonly state: EngineState;
  /** Calls the listener on every change of state, synchronously; answers a function that ends this. */
  onState(listener: StateListener): () => void;
  /** The last sample, or undefined before the first. */
  readonly progress: EngineProgress | undefined;
  /**
   * The processes on this machine that compute, so that health can ask the system about them. Empty while there is none;
   * empty or absent for an engine that runs in this process or elsewhere.
   */
  readonly processIds?: readonly number[];
  /** What its prefix cache holds; absent for an engine that does not tell. */
  readonly kvEvents?: KvEventSource | undefined;
  /**
   * True when every scheduler step moves {@link progress}, also one that gives no output: then silence with work in
   * flight means that nothing is computed. Absent is false.
   */
  readonly reportsSteps?: boolean;
  /** Absent for an engine that cannot be profiled. */
  readonly profiler?: EngineProfiler | undefined;
  /** A sentence while the engine was told to pause: it lives, and works on nothing until it is woken. */
  readonly pausedBecause?: string | undefined;

  /**
   * Loads the model. Resolves when the engine is ready for the first time; rejects when it never will be (file
   * missing or broken: `failed-precondition`), and then leaves nothing running. Called once.
   */
  start(): Promise<void>;
  /** Throws `unavailable` unless the engine was ready at least once. */
  facts(): ModelFacts;

  /**
   * Takes a request and returns at once; outputs go to the sink. Throws `invalid-argument` for what can be seen
   * without the model and `unavailable` when not ready, and then never calls the sink. What is found later
   * (a text prompt too long, a grammar that does not parse) comes as `sink.failed`.
   */
  generate(request: GenerateRequest, sink: GenerationSink): void;
  /** Ends all outputs of a request with finish "abort" within one step and frees its slots. Unknown ids do nothing. */
  abort(requestId: string): void;
  /** One pooled vector of the prompt. The signal gives the work up. */
  embed(request: EmbedRequest, signal: AbortSignal): Promise<Embedding>;

  /**
   * One round trip through the engine's own scheduling loop. Resolves when it turned, rejects when the engine is not
   * ready or died meanwhile. It has no deadline of its own: the caller decides how long silence is bearable.
   */
  checkHealth(): Promise<void>;
  loads(): readonly EngineLoad[];
  /** Rejects `failed-precondition` when the model carries no tokenizer that can be given away. */
  tokenizerFiles(): Promise<readonly TokenizerFile[]>;
  /** Drops cached prefixes that no running request uses. False when requests in flight forbid it. */
  flushCache(): Promise<boolean>;
  /** Refuses new requests, gives running ones `graceMs` to end, aborts the rest and frees everything. Idempotent. */
  close(graceMs: number): Promise<void>;
}
