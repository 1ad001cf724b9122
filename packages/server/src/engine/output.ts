import type { EngineError } from "./errors.ts";

/** The k best tokens of one position, best first. Natural logarithms. */
export interface TopLogprobs {
  readonly tokenIds: readonly number[];
  readonly values: readonly number[];
}

/** True logprobs (of the model's own distribution, before any sampling parameter), one entry per token of the delta. */
export interface OutputLogprobs {
  readonly tokenLogprobs: readonly number[];
  readonly top: readonly TopLogprobs[];
}

/** Logprobs of the prompt's tokens. The first token has none: undefined. */
export interface PromptLogprobs {
  readonly tokenIds: readonly number[];
  readonly tokenLogprobs: readonly (number | undefined)[];
  /** `top[0]` is empty, like the first token's logprob. */
  readonly top: readonly TopLogprobs[];
}

/** Why an output ended. A plain EOS is "stop" without a match. */
export type Finish =
  | { readonly reason: "stop"; readonly matched?: { readonly tokenId: number } | { readonly text: string } }
  | { readonly reason: "length" }
  | { readonly reason: "abort" };

/** What one engine step added to one output. */
export interface OutputDelta {
  /** Which of the n outputs, from 0. */
  readonly index: number;
  /** New token ids; empty only with `finish`. */
  readonly tokenIds: readonly number[];
  readonly logprobs?: OutputLogprobs | undefined;
  /** On the first delta of each index, when asked for. */
  readonly promptLogprobs?: PromptLogprobs | undefined;
  readonly promptTokens: number;
  /** Prompt tokens that were not computed again. */
  readonly cachedTokens: number;
  /** Set on the last delta of this index. */
  readonly finish?: Finish | undefined;
}

/**
 * Where an engine pushes the outputs of one request. Calls come between the engine's steps, never from inside
 * `generate`. After every index has finished, or after `failed`, nothing more comes.
 */
export interface GenerationSink {
  delta(delta: OutputDelta): void;
  /** Ends the whole request, all indexes. */
  failed(error: EngineError): void;
}

export interface Embedding {
  /** L2-normalised. */
  readonly values: Float32Array | readonly number[];
  readonly promptTokens: number;
}
