import type { MockLogprobs, MockOutput } from "./mock-outputs.ts";
import { idsOf, type MockRequest, numberOf } from "./mock-request.ts";

/** The token at a position of the output, from 0. */
export type TokenAt = (request: MockRequest, position: number) => number;

const vocabSize = 2048;
/** vLLM's default (SamplingParams.max_tokens). */
const defaultMaxTokens = 16;
const poolingSize = 8;

/** One request on its way through a mock engine: a token each step, until one of vLLM's rules ends it. */
export class MockSequence {
  readonly request: MockRequest;
  readonly #maxTokens: number;
  readonly #tokenAt: TokenAt;
  #tokens = 0;
  #isDone = false;

  constructor(request: MockRequest, maxModelLen: number, tokenAt: TokenAt = tokenByHash) {
    this.request = request;
    this.#tokenAt = tokenAt;
    const room = maxModelLen - request.promptTokenIds.length;
    this.#maxTokens = Math.min(numberOf(request, "max_tokens") ?? defaultMaxTokens, room);
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  step(): MockOutput {
    const { request } = this;
    const { requestId, promptTokenIds } = request;
    const prefill = this.#tokens > 0 ? undefined : { promptTokens: promptTokenIds.length, cachedTokens: 0 };
    if (request.isPooling) {
      this.#isDone = true;
      return { requestId, newTokenIds: [], pooling: poolingOf(promptTokenIds), finishReason: "stop", prefill };
    }
    const token = this.#tokenAt(request, this.#tokens);
    this.#tokens += 1;
    const k = numberOf(request, "logprobs");
    const promptK = prefill === undefined ? undefined : numberOf(request, "prompt_logprobs");
    return {
      requestId,
      newTokenIds: [token],
      newLogprobs: k === undefined ? undefined : logprobsOf([token], k),
      newPromptLogprobs: promptK === undefined ? undefined : logprobsOf(promptTokenIds.slice(1), promptK),
      prefill,
      ...this.#finish(token),
    };
  }

  #finish(token: number): Pick<MockOutput, "finishReason" | "stopReason"> {
    const { request } = this;
    const mayStop = this.#tokens >= (numberOf(request, "min_tokens") ?? 0);
    if (mayStop && token === numberOf(request, "_eos_token_id")) {
      this.#isDone = true;
      return { finishReason: "stop" };
    }
    if (mayStop && idsOf(request, "stop_token_ids").includes(token)) {
      this.#isDone = true;
      return { finishReason: "stop", stopReason: token };
    }
    if (this.#tokens < this.#maxTokens) return {};
    this.#isDone = true;
    return { finishReason: "length" };
  }
}

/** Letters-and-words part of a vocabulary of 2,048: away from the special tokens at its beginning. */
function tokenByHash(request: MockRequest, position: number): number {
  const [seed, last] = [numberOf(request, "seed") ?? 0, request.promptTokenIds.at(-1) ?? 0];
  return 300 + ((seed * 31 + last * 17 + position * 7919) % (vocabSize - 300));
}

/** The token itself first, then the k best, itself the best of them. */
function logprobsOf(tokenIds: readonly number[], k: number): MockLogprobs {
  const value = (place: number): number => -0.5 - place * 0.25;
  return {
    tokenIds: tokenIds.map((id) => [id, ...Array.from({ length: k }, (_, place) => (id + place) % vocabSize)]),
    logprobs: tokenIds.map(() => [value(0), ...Array.from({ length: k }, (_, place) => value(place))]),
  };
}

function poolingOf(promptTokenIds: readonly number[]): number[] {
  const values = Array.from({ length: poolingSize }, (_, place) => Math.cos(place + promptTokenIds.length));
  const norm = Math.hypot(...values);
  return values.map((value) => value / norm);
}
