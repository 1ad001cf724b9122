import type { Finish, OutputDelta, PromptLogprobs, TopLogprobs } from "../../engine/output.ts";

/** Joins deltas of one index into one, in their order: what a slow reader or a call without streaming gets. */
export class DeltaAccumulator {
  readonly #index: number;
  readonly #tokenIds: number[] = [];
  readonly #tokenLogprobs: number[] = [];
  readonly #top: TopLogprobs[] = [];
  #hasLogprobs = false;
  #promptLogprobs: PromptLogprobs | undefined;
  #promptTokens = 0;
  #cachedTokens = 0;
  #finish: Finish | undefined;

  constructor(index: number) {
    this.#index = index;
  }

  add(delta: OutputDelta): void {
    // Not spread: a delta of a merge may hold more ids than a call may have arguments.
    for (const id of delta.tokenIds) this.#tokenIds.push(id);
    if (delta.logprobs !== undefined) {
      this.#hasLogprobs = true;
      for (const value of delta.logprobs.tokenLogprobs) this.#tokenLogprobs.push(value);
      for (const top of delta.logprobs.top) this.#top.push(top);
    }
    this.#promptLogprobs ??= delta.promptLogprobs;
    this.#promptTokens = delta.promptTokens;
    this.#cachedTokens = delta.cachedTokens;
    this.#finish = delta.finish;
  }

  /** All of it as one delta. */
  joined(): OutputDelta {
    return {
      index: this.#index,
      tokenIds: this.#tokenIds,
      logprobs: this.#hasLogprobs ? { tokenLogprobs: this.#tokenLogprobs, top: this.#top } : undefined,
      promptLogprobs: this.#promptLogprobs,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      finish: this.#finish,
    };
  }
}
