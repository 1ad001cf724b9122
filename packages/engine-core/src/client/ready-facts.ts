/**
 * What an engine says of itself when it is ready (EngineCoreReadyResponse, vllm/v1/engine/__init__.py at 0.32). A map on
 * the wire, which grows: unknown keys are kept in `all`. What an older engine does not say is undefined.
 */
export interface ReadyFacts {
  /** Data-parallel rank, from the engine's identity. */
  readonly engineIndex: number;
  readonly maxModelLenTokens: number;
  readonly vllmVersion: string | undefined;
  readonly dtype: string | undefined;
  readonly blockSizeTokens: number | undefined;
  readonly gpuBlocks: number | undefined;
  readonly kvCacheTokens: number | undefined;
  readonly maxNumSeqs: number | undefined;
  readonly maxNumBatchedTokens: number | undefined;
  readonly dataParallelSize: number | undefined;
  readonly tensorParallelSize: number | undefined;
  readonly pipelineParallelSize: number | undefined;
  readonly supportsLora: boolean;
  /** Every key as it came, for what is not named here. JSON. */
  readonly all: Readonly<Record<string, unknown>>;
}
