/** What an engine is known to take. The wire tells only `max_model_len` and LoRA; the rest its model and flags say. */
export interface RequestLimits {
  /** Width of the logits: `vocab_size` of the model's config.json. Ids at or above it kill the engine. */
  readonly vocabSize: number;
  /** Of the ready facts. */
  readonly maxModelLenTokens: number;
  /** The engine's answer to the utility call `get_supported_tasks`: `generate`, `embed` and so on. */
  readonly tasks: readonly string[];
  /** The engine's `--max-logprobs`. Default 20, as vLLM's; -1 is the whole vocabulary. */
  readonly maxLogprobs?: number | undefined;
  /** Of the ready facts. Default false: a request for an adapter is refused, where vLLM would answer with the base model. */
  readonly supportsLora?: boolean | undefined;
  /** The engine decodes speculatively, so `min_p` and `logit_bias` are refused. Default false. */
  readonly isSpeculative?: boolean | undefined;
  /** Whether a request of this id is in flight. Default: never. */
  readonly isInFlight?: ((requestId: string) => boolean) | undefined;
}
