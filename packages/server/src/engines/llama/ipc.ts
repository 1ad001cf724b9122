import type { EngineErrorKind } from "../../engine/errors.ts";
import type { KvCacheEvent } from "../../engine/kv-events.ts";
import type { OutputDelta } from "../../engine/output.ts";
import type { Prompt, SamplingParams } from "../../engine/request.ts";

/**
 * What parent and child of the llama engine say to each other: structured clones over the IPC channel of
 * `child_process.fork`, one message per decode step.
 */

/** How the child loads the model. Every number is decided by the parent and final. */
export interface LlamaChildOptions {
  readonly modelPath: string;
  /** Prompt and output together, per sequence. */
  readonly maxModelLenTokens: number;
  /** Sequences in the batch, 1 to 256 (the addon's limit). */
  readonly maxNumSeqs: number;
  /** Tokens of one step: decodes and prefill chunks together. At least `maxNumSeqs`. */
  readonly maxNumBatchedTokens: number;
  readonly threads: number;
  /** As the file says; the addon does not tell. */
  readonly vocabSize: number;
  /** False for a model that only embeds: it gets no context for generation. */
  readonly isGeneration: boolean;
  /** Tokens of one block of the prefix cache. */
  readonly kvBlockSizeTokens: number;
}

/** What only the loaded model can say. */
export interface LoadedModel {
  readonly vocabSize: number;
  /** Every id that ends a generation, as llama.cpp sees it. Ascending. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
}

/** The sampling parameters as they cross: the constraint is already a GBNF grammar. */
export type ChildSampling = Omit<SamplingParams, "constraint"> & {
  readonly gbnf: string | undefined;
};

export type ToChild =
  | { readonly t: "load"; readonly options: LlamaChildOptions }
  | { readonly t: "generate"; readonly id: string; readonly prompt: Prompt; readonly sampling: ChildSampling }
  /** Ends a generation or an embedding. */
  | { readonly t: "abort"; readonly id: string }
  | { readonly t: "embed"; readonly id: string; readonly tokenIds: Uint32Array }
  | { readonly t: "ping"; readonly ping: number }
  | { readonly t: "flush-cache"; readonly call: number }
  | { readonly t: "start-profile"; readonly call: number; readonly path: string }
  | { readonly t: "stop-profile"; readonly call: number };

/** An EngineError as data. */
export interface ErrorFacts {
  readonly kind: EngineErrorKind;
  readonly message: string;
  readonly field: string | undefined;
}

/** Counters that travel with every step and every answer to a ping. */
export interface ChildCounters {
  /** Scheduler steps since the child started. */
  readonly steps: number;
  readonly generatedTokens: number;
  /** Requests, not outputs. */
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Prompt tokens of waiting and prefilling requests that were not computed yet. */
  readonly waitingPromptTokens: number;
  /** Cells of the KV cache that running outputs hold. */
  readonly usedKvTokens: number;
  /** Share [0, 1] of prompt tokens found in the cache, over the last 64 prompts. */
  readonly cacheHitRate: number;
}

export interface RequestDelta {
  readonly id: string;
  readonly delta: OutputDelta;
}

export interface RequestFailure {
  readonly id: string;
  readonly error: ErrorFacts;
}

export type FromChild =
  | { readonly t: "loading"; readonly progress: number }
  | { readonly t: "ready"; readonly model: LoadedModel }
  /** The model cannot be loaded, now or later. */
  | { readonly t: "load-failed"; readonly error: ErrorFacts }
  /** Everything that one step produced, for all requests. */
  | {
      readonly t: "step";
      readonly deltas: readonly RequestDelta[];
      readonly failures: readonly RequestFailure[];
      readonly counters: ChildCounters;
      /** What the step, and what came before it, changed in the prefix cache. */
      readonly kvEvents: readonly KvCacheEvent[];
    }
  | { readonly t: "embedding"; readonly id: string; readonly values: Float32Array; readonly promptTokens: number }
  | { readonly t: "embed-failed"; readonly id: string; readonly error: ErrorFacts }
  | { readonly t: "pong"; readonly ping: number; readonly counters: ChildCounters }
  | { readonly t: "flushed"; readonly call: number; readonly flushed: boolean }
  /** A profile was begun or written, or why not. */
  | { readonly t: "profiled"; readonly call: number; readonly error: ErrorFacts | undefined };
