import type { ModelFacts } from "../../engine/facts.ts";
import type { Finish } from "../../engine/output.ts";
import type { SamplingParams } from "../../engine/request.ts";

/** What a scripted output is made of. */
export interface MockOutputOptions {
  readonly facts: ModelFacts;
  readonly sampling: SamplingParams;
  readonly promptTokens: number;
  /** The ids it says before EOS. */
  readonly script: readonly number[];
}

/**
 * One of the n outputs of a request: says its script a token at a time and applies vLLM's rules of when to end.
 *
 * The script decides the tokens; of the sampling parameters only those that end an output count. Where EOS or a stop
 * token may not come yet (`minTokens`, `ignoreEos`), the script goes on or starts over.
 */
export class MockOutput {
  readonly #options: MockOutputOptions;
  readonly #stops: readonly Buffer[];
  readonly #eos: number;
  /** The last bytes said, as many as the longest stop string has. */
  #tail: number[] = [];
  #cursor = 0;
  #count = 0;

  constructor(options: MockOutputOptions) {
    this.#options = options;
    this.#stops = options.sampling.stop.map((stop) => Buffer.from(stop));
    this.#eos = options.facts.eosTokenIds[0] ?? 0;
  }

  /** Tokens said so far. */
  get count(): number {
    return this.#count;
  }

  /** Says one token. After a finish it must not be called again. */
  next(): { readonly tokenId: number; readonly finish: Finish | undefined } {
    const tokenId = this.#choose();
    this.#count += 1;
    return { tokenId, finish: this.#finishAfter(tokenId) };
  }

  #choose(): number {
    const { script } = this.#options;
    for (let tries = 0; tries <= script.length; tries++) {
      const candidate = script[this.#cursor] ?? this.#eos;
      this.#cursor = this.#cursor < script.length ? this.#cursor + 1 : 0;
      if (this.#mayCome(candidate)) return candidate;
    }
    return this.#harmless();
  }

  #mayCome(tokenId: number): boolean {
    const { facts, sampling } = this.#options;
    const isEos = facts.eosTokenIds.includes(tokenId);
    if (isEos && sampling.ignoreEos) return false;
    return this.#count >= sampling.minTokens || !(isEos || sampling.stopTokenIds.includes(tokenId));
  }

  #harmless(): number {
    const { facts, sampling } = this.#options;
    let tokenId = 0;
    while (facts.eosTokenIds.includes(tokenId) || sampling.stopTokenIds.includes(tokenId)) tokenId++;
    return Math.min(tokenId, facts.vocabSize - 1);
  }

  #finishAfter(tokenId: number): Finish | undefined {
    const { facts, sampling, promptTokens } = this.#options;
    if (facts.eosTokenIds.includes(tokenId)) return { reason: "stop" };
    if (sampling.stopTokenIds.includes(tokenId)) return { reason: "stop", matched: { tokenId } };
    const text = this.#matchedText(tokenId);
    if (text !== undefined) return { reason: "stop", matched: { text } };
    if (this.#count >= (sampling.maxTokens ?? Number.POSITIVE_INFINITY)) return { reason: "length" };
    return promptTokens + this.#count >= facts.maxModelLenTokens ? { reason: "length" } : undefined;
  }

  #matchedText(tokenId: number): string | undefined {
    if (this.#stops.length === 0 || tokenId > 255) return undefined;
    this.#tail.push(tokenId);
    const longest = Math.max(...this.#stops.map((stop) => stop.length));
    if (this.#tail.length > longest) this.#tail = this.#tail.slice(-longest);
    if (this.#count <= this.#options.sampling.minTokens) return undefined;
    const tail = Buffer.from(this.#tail);
    const found = this.#stops.findIndex((stop) => tail.subarray(-stop.length).equals(stop));
    return this.#options.sampling.stop[found];
  }
}
