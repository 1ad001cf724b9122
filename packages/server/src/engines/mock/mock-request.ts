import { EngineError } from "../../engine/errors.ts";
import type { ModelFacts } from "../../engine/facts.ts";
import type { GenerationSink, OutputDelta } from "../../engine/output.ts";
import type { GenerateRequest, Prompt } from "../../engine/request.ts";
import { outputLogprobs, promptLogprobs } from "./mock-logprobs.ts";
import { MockOutput } from "./mock-output.ts";
import type { MockError } from "./mock-script.ts";

/** A request that fails on purpose. */
export interface ScriptedFailure {
  readonly afterTokens: number;
  readonly error: MockError;
}

export interface MockRequestOptions {
  readonly request: GenerateRequest;
  readonly sink: GenerationSink;
  readonly facts: ModelFacts;
  readonly cachedTokens: number;
  /** What output `index` says. */
  readonly scriptOf: (index: number) => readonly number[];
  readonly failure: ScriptedFailure | undefined;
}

/** A request inside the scripted engine, with its n outputs, each of which takes a slot of its own. */
export class MockRequest {
  readonly id: string;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly #options: MockRequestOptions;
  readonly #prompt: Uint32Array;
  readonly #outputs: readonly MockOutput[];
  readonly #finished = new Set<number>();
  #failed = false;

  constructor(options: MockRequestOptions) {
    const { request, facts } = options;
    this.#options = options;
    this.id = request.id;
    this.#prompt = tokenIdsOf(request.prompt);
    this.promptTokens = this.#prompt.length;
    this.cachedTokens = Math.max(0, Math.min(options.cachedTokens, this.promptTokens - 1));
    this.#outputs = Array.from({ length: request.sampling.n }, (_, index) => {
      const script = options.scriptOf(index);
      return new MockOutput({ facts, sampling: request.sampling, promptTokens: this.promptTokens, script });
    });
  }

  get outputs(): number {
    return this.#outputs.length;
  }

  /** Nothing more comes for this request. */
  get ended(): boolean {
    return this.#failed || this.#finished.size === this.#outputs.length;
  }

  /** Tokens that an output holds in the KV cache, its prompt included. */
  tokensHeld(index: number): number {
    return this.promptTokens + (this.#outputs[index]?.count ?? 0);
  }

  /** The error that the model finds only now, or the script wants, before output `index` may go on. */
  failureBefore(index: number): EngineError | undefined {
    const { request, facts, failure } = this.#options;
    if (this.promptTokens === 0 || this.promptTokens >= facts.maxModelLenTokens) {
      const field = request.prompt.kind === "text" ? "text" : "tokenized.input_ids";
      const rule = `must be 1 to ${facts.maxModelLenTokens - 1} tokens`;
      return new EngineError("invalid-argument", `${field}: ${rule}, got ${this.promptTokens}`, { field });
    }
    if (failure === undefined || (this.#outputs[index]?.count ?? 0) < failure.afterTokens) return undefined;
    const { kind, message, field } = failure.error;
    return new EngineError(kind, message, field === undefined ? {} : { field });
  }

  /** Says one token of an output; true when that was its last. */
  step(index: number): boolean {
    const output = this.#outputs[index];
    if (output === undefined) return true;
    const { sampling } = this.#options.request;
    const { vocabSize } = this.#options.facts;
    const isFirst = output.count === 0;
    const { tokenId, finish } = output.next();
    this.#push(index, {
      tokenIds: [tokenId],
      logprobs: sampling.logprobs === undefined ? undefined : outputLogprobs(tokenId, sampling.logprobs, vocabSize),
      promptLogprobs:
        isFirst && sampling.promptLogprobs !== undefined
          ? promptLogprobs(this.#prompt, sampling.promptLogprobs, vocabSize)
          : undefined,
      finish,
    });
    return finish !== undefined;
  }

  /** Ends every output that has not ended with finish "abort". */
  abort(): void {
    for (let index = 0; index < this.#outputs.length; index++) {
      if (!this.#finished.has(index)) this.#push(index, { tokenIds: [], finish: { reason: "abort" } });
    }
  }

  /** Ends the whole request with an error. */
  fail(error: EngineError): void {
    if (this.ended) return;
    this.#failed = true;
    this.#options.sink.failed(error);
  }

  #push(index: number, delta: Pick<OutputDelta, "tokenIds" | "logprobs" | "promptLogprobs" | "finish">): void {
    if (this.#failed) return;
    if (delta.finish !== undefined) this.#finished.add(index);
    const { promptTokens, cachedTokens } = this;
    this.#options.sink.delta({ index, promptTokens, cachedTokens, ...delta });
  }
}

/** A text is its UTF-8 bytes, one token each. */
function tokenIdsOf(prompt: Prompt): Uint32Array {
  if (prompt.kind === "tokens") return prompt.tokenIds;
  const tokenIds = Uint32Array.from(new TextEncoder().encode(prompt.text));
  return prompt.truncateToTokens === undefined ? tokenIds : tokenIds.slice(-prompt.truncateToTokens);
}
