/** What is known of the model and of the engine's limits once it is ready. Constant until the engine is replaced. */
export interface ModelFacts {
  /** Where the model came from, as the user named it. */
  readonly modelPath: string;
  /** Directory or file with the tokenizer; empty when it lives inside the model file. */
  readonly tokenizerPath: string;
  /** e.g. `llama`. */
  readonly modelType: string;
  /** e.g. `["LlamaForCausalLM"]`. */
  readonly architectures: readonly string[];
  readonly vocabSize: number;
  /** Prompt and output together, per sequence. */
  readonly maxModelLenTokens: number;
  /** Ids that end an output unless EOS is ignored. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  readonly isGeneration: boolean;
  /** Sampling defaults that the model's author recommends; empty object when none. */
  readonly defaultSampling: Readonly<Record<string, number>>;
  /** Sequences that run at once. */
  readonly maxNumSeqs: number;
  /** Token cells of the whole KV cache. */
  readonly kvCacheTokens: number;
  readonly kvCacheDtype: string;
  /** Tokens per block of the KV cache; 1 where the cache has no blocks. */
  readonly blockSizeTokens: number;
  readonly modelDtype: string;
  /** Ranks that serve the model side by side, those that were lost included. Absent is 1. */
  readonly dataParallelSize?: number;
}

/** One scheduler's load at a moment. One entry per data-parallel rank. */
export interface EngineLoad {
  readonly dpRank: number;
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Prompt tokens queued and not computed. */
  readonly waitingPromptTokens: number;
  readonly usedKvTokens: number;
  readonly kvCacheTokens: number;
  /** Tokens generated per second over the last 2 s. */
  readonly generatedTokensPerSecond: number;
  /** Share [0, 1] of prompt tokens found in the cache, over the last 64 prompts. */
  readonly cacheHitRate: number;
  readonly maxRunningRequests: number;
}

/** A file of the model's tokenizer as GetTokenizer sends it; `name` is flat (no folder). */
export interface TokenizerFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}
