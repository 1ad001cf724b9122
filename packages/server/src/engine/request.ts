/**
 * What the output must match. `source` is the text that the client sent (JSON schema, regular expression, GBNF, xgrammar's
 * structural tag as a JSON object). An engine that cannot hold an output to one of them throws `unimplemented`.
 */
export type Constraint =
  | { readonly kind: "json-schema"; readonly source: string }
  | { readonly kind: "regex"; readonly source: string }
  | { readonly kind: "grammar"; readonly source: string }
  | { readonly kind: "structural-tag"; readonly source: string }
  | { readonly kind: "json-object" }
  | { readonly kind: "choice"; readonly choices: readonly string[] };

/**
 * How tokens are chosen and when an output ends. Resolved: defaults are filled in and every range was checked at the
 * border, so an engine need not look again. Names and meanings are vLLM's SamplingParams.
 */
export interface SamplingParams {
  /** 0 is greedy. Range [0, 2] is usual, any finite value >= 0 is taken. */
  readonly temperature: number;
  /** (0, 1]; 1 is off. */
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  /** [0, 1]; 0 is off. */
  readonly minP: number;
  /** [-2, 2], over the output's tokens. */
  readonly frequencyPenalty: number;
  /** [-2, 2], over the output's tokens. */
  readonly presencePenalty: number;
  /** > 0; 1 is off. Over prompt and output. */
  readonly repetitionPenalty: number;
  /** Undefined fills the context. */
  readonly maxTokens: number | undefined;
  /** No EOS and no stop token before this many tokens. */
  readonly minTokens: number;
  readonly stop: readonly string[];
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  /** Outputs of one prompt, 1 or more. */
  readonly n: number;
  readonly constraint: Constraint | undefined;
  /** Undefined: none. k: the sampled token and the k best. -1: the whole vocabulary. */
  readonly logprobs: number | undefined;
  readonly promptLogprobs: number | undefined;
  /** Same seed, same prompt, same parameters: same tokens. Output i of n uses seed + i. Undefined: random. */
  readonly seed: number | undefined;
  /** Added to the logit of a token id. */
  readonly logitBias: ReadonlyMap<number, number>;
}

/** A prompt as token ids (checked against the vocabulary and the context), or as text that the engine tokenizes. */
export type Prompt =
  | { readonly kind: "tokens"; readonly tokenIds: Uint32Array }
  /** `truncateToTokens` keeps the last so many tokens; undefined keeps all. */
  | { readonly kind: "text"; readonly text: string; readonly truncateToTokens: number | undefined };

export interface GenerateRequest {
  /** Unique among the requests in flight; the caller guarantees it. */
  readonly id: string;
  readonly prompt: Prompt;
  readonly sampling: SamplingParams;
  /** The data-parallel rank that must serve it, below `ModelFacts.dataParallelSize`; undefined leaves it to the engine. */
  readonly dataParallelRank?: number | undefined;
  /** Smaller is served first, where the engine schedules by priority. An int32; undefined is 0. */
  readonly priority?: number | undefined;
  /** The caller's trace context as it came: `traceparent`, `tracestate`. */
  readonly traceHeaders?: Readonly<Record<string, string>> | undefined;
}

export interface EmbedRequest {
  readonly id: string;
  readonly tokenIds: Uint32Array;
}
