import type { LogprobsTensors, PromptLogprobsTensors, Tensor } from "./tensor.ts";

/** vLLM's FinishReason (vllm/v1/engine/__init__.py at 0.32), by its number on the wire. */
export const finishReasons = ["stop", "length", "abort", "error", "repetition"] as const;
export type FinishReason = (typeof finishReasons)[number];

/** What one step added to one request: vLLM's EngineCoreOutput, as far as a front end reads it. */
export interface EngineCoreOutput {
  readonly requestId: string;
  /** New since the last output. The token that ends it (EOS, a stop token) is in it. */
  readonly newTokenIds: readonly number[];
  /** Rows are the new tokens; column 0 is the sampled one, the others the top k. */
  readonly newLogprobs: LogprobsTensors | undefined;
  /** Rows are the prompt's tokens from the second on. May come in pieces, over several outputs. */
  readonly newPromptLogprobs: PromptLogprobsTensors | undefined;
  readonly poolingOutput: Tensor | undefined;
  /** Set on the last output of a request. */
  readonly finishReason: FinishReason | undefined;
  /** What matched where the reason is `stop`; undefined for EOS. */
  readonly stopReason: number | string | undefined;
  /** On the first output of a request. */
  readonly prefillStats: { readonly promptTokens: number; readonly cachedTokens: number } | undefined;
  /** Since 0.33, with the reason `error`. */
  readonly error: string | undefined;
}

/** The scheduler's counters of a message, read when somebody asks. Undefined with `--disable-log-stats`. */
export interface SchedulerStats {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Share of the KV cache in use, [0, 1]. */
  readonly kvCacheUsage: number;
  /** Prompt tokens looked up in the prefix cache since the last message, and found. */
  readonly prefixCacheQueries: number;
  readonly prefixCacheHits: number;
}

/** One message of an engine: all that one step of its scheduler has to say. */
export interface EngineCoreOutputs {
  readonly engineIndex: number;
  readonly outputs: readonly EngineCoreOutput[];
  /** Decoded on the first call and kept. Throws a bad frame where the statistics are none. */
  schedulerStats(): SchedulerStats | undefined;
}
