import { EngineError } from "../../../engine/errors.ts";
import type { Finish, GenerationSink, OutputDelta, PromptLogprobs } from "../../../engine/output.ts";
import type { GenerateRequest } from "../../../engine/request.ts";
import { constraintFields } from "../request/structured-outputs.ts";
import { type LogprobTable, outputLogprobsOf, PromptLogprobsGathering } from "./logprobs.ts";
import type { StopStrings } from "./stop-strings.ts";

/** What one step of the engine says of one output. */
export interface StepOutput {
  readonly tokenIds: readonly number[];
  readonly logprobs: LogprobTable | undefined;
  readonly promptLogprobs: LogprobTable | undefined;
  readonly cachedTokens: number | undefined;
  readonly end: StepEnd | undefined;
}

/** Why the engine ends an output, in vLLM's words (vllm/v1/engine/__init__.py, FinishReason). */
export type StepEnd =
  | { readonly t: "stop"; readonly tokenId: number | undefined }
  | { readonly t: "length" }
  | { readonly t: "abort" }
  | { readonly t: "error"; readonly message: string | undefined };

/** What becomes of an output after a step. */
export type AfterStep =
  | "goes on"
  /** The engine has let go of it. */
  | "ended"
  /** It ended here, and the engine must be told to abort it. */
  | "cut"
  /** The whole request has failed; the engine must be told to abort its other outputs. */
  | "failed";

export interface OutputSequenceOptions {
  readonly request: GenerateRequest;
  readonly index: number;
  readonly prompt: readonly number[];
  readonly sink: GenerationSink;
  readonly stops: StopStrings | undefined;
  /** Ids that end an output as an EOS does, without a match to report. */
  readonly eosTokenIds: ReadonlySet<number>;
}

/** One output of a request, which to the engine is a request of its own. Turns its steps into deltas for the sink. */
export class OutputSequence {
  readonly #options: OutputSequenceOptions;
  readonly #promptLogprobs: PromptLogprobsGathering | undefined;
  #cachedTokens = 0;
  #hasBegun = false;
  #ended = false;

  constructor(options: OutputSequenceOptions) {
    this.#options = options;
    if (options.request.sampling.promptLogprobs !== undefined) {
      this.#promptLogprobs = new PromptLogprobsGathering(options.prompt);
    }
  }

  get index(): number {
    return this.#options.index;
  }

  get promptTokens(): number {
    return this.#options.prompt.length;
  }

  get cachedTokens(): number {
    return this.#cachedTokens;
  }

  /** Its first token has come: the prompt is computed. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Takes a step. What comes after the end is dropped: the engine had not read our abort yet. */
  step(output: StepOutput): AfterStep {
    if (this.#ended) return "ended";
    if (output.cachedTokens !== undefined) {
      // At least one token of every prompt is computed.
      this.#cachedTokens = Math.max(0, Math.min(output.cachedTokens, this.promptTokens - 1));
    }
    if (output.promptLogprobs !== undefined) this.#promptLogprobs?.add(output.promptLogprobs);
    const { end } = output;
    if (end?.t === "error") return this.#failed(end.message);

    const { stops } = this.#options;
    // An EOS or stop token is no text of the output, as in vLLM's detokenizer.
    const spoken = end?.t === "stop" ? output.tokenIds.slice(0, -1) : output.tokenIds;
    const match = stops?.push(spoken);
    if (match !== undefined) {
      this.#push(output, match.keptTokens, { reason: "stop", matched: { text: match.text } });
      return end === undefined ? "cut" : "ended";
    }
    if (output.tokenIds.length === 0 && end === undefined) return "goes on";
    this.#push(output, output.tokenIds.length, end === undefined ? undefined : this.#finishOf(end));
    return end === undefined ? "goes on" : "ended";
  }

  /** Ends it with finish "abort", for whoever asked. */
  abort(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.sink.delta(this.#deltaOf([], { finish: { reason: "abort" } }));
  }

  /** Nothing more goes to the sink, because its request has failed as a whole. */
  silence(): void {
    this.#ended = true;
  }

  #push(output: StepOutput, tokens: number, finish: Finish | undefined): void {
    const tokenIds = tokens === output.tokenIds.length ? output.tokenIds : output.tokenIds.slice(0, tokens);
    const table = output.logprobs;
    const logprobs = table === undefined ? undefined : outputLogprobsOf(table, tokens);
    const promptLogprobs = this.#hasBegun ? undefined : this.#promptLogprobs?.result;
    this.#hasBegun = true;
    if (finish !== undefined) this.#ended = true;
    this.#options.sink.delta(this.#deltaOf(tokenIds, { logprobs, promptLogprobs, finish }));
  }

  #deltaOf(
    tokenIds: readonly number[],
    rest: Pick<OutputDelta, "logprobs" | "finish"> & { readonly promptLogprobs?: PromptLogprobs | undefined },
  ): OutputDelta {
    return {
      index: this.#options.index,
      tokenIds,
      logprobs: rest.logprobs,
      promptLogprobs: rest.promptLogprobs,
      promptTokens: this.#options.prompt.length,
      cachedTokens: this.#cachedTokens,
      finish: rest.finish,
    };
  }

  #finishOf(end: Exclude<StepEnd, { t: "error" }>): Finish {
    switch (end.t) {
      case "stop": {
        const { tokenId } = end;
        const { request, eosTokenIds } = this.#options;
        if (tokenId === undefined) return { reason: "stop" };
        // The further EOS ids are stop tokens to the engine only because we named them.
        const isAsked = request.sampling.stopTokenIds.includes(tokenId);
        return !isAsked && eosTokenIds.has(tokenId) ? { reason: "stop" } : { reason: "stop", matched: { tokenId } };
      }
      case "length":
        return { reason: "length" };
      case "abort":
        return { reason: "abort" };
    }
  }

  #failed(message: string | undefined): AfterStep {
    const { constraint } = this.#options.request.sampling;
    this.#ended = true;
    const because = message === undefined ? "" : `: ${message}`;
    if (constraint !== undefined && !this.#hasBegun) {
      // The engine compiles a constraint before the first token and says no more of it than that it could not.
      const field = constraintFields[constraint.kind];
      const sentence = `${field}: vLLM's xgrammar cannot compile it${because}`;
      this.#options.sink.failed(new EngineError("invalid-argument", sentence, { field }));
    } else {
      this.#options.sink.failed(new EngineError("unavailable", `the engine failed this request${because}`));
    }
    return "failed";
  }
}
