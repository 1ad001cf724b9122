import { randomInt } from "node:crypto";
import type { ChildSampling } from "../ipc.ts";
import type { AddonModel, AddonSampler, GrammarState, LlamaAddon, SamplerConfig } from "./addon.ts";

export interface SamplingChainOptions {
  readonly addon: LlamaAddon;
  readonly model: AddonModel;
  readonly sampling: ChildSampling;
  /** Which of the n outputs: it shifts the seed. */
  readonly index: number;
  readonly promptTokenIds: readonly number[];
  readonly grammar: GrammarState | undefined;
  /** Tokens that must not come before `minTokens`. */
  readonly endTokenIds: readonly number[];
  readonly maxModelLenTokens: number;
}

/** A bias that no other token's logit comes near, and which stays finite through penalties and temperature. */
const farBack = -1e30;

/**
 * One output's sampler: SamplingParams turned into llama.cpp's chain, kept right from token to token.
 *
 * llama.cpp's order is bias, penalties, top-k, top-p, min-p, temperature; vLLM applies the temperature first. top-k
 * does not mind, min-p is converted (below), top-p stays llama.cpp's: it cuts the distribution of temperature 1.
 */
export class SamplingChain {
  readonly sampler: AddonSampler;
  /** True when the chain picks the highest logit of the model as it is, so that its logits are the model's own. */
  readonly plainGreedy: boolean;
  readonly #options: SamplingChainOptions;
  readonly #fixed: SamplerConfig;
  readonly #biasOnCounts: boolean;
  #unaltered: AddonSampler | undefined;
  readonly #counts = new Map<number, number>();
  readonly #output: number[] = [];
  #endsBarred: boolean;

  constructor(options: SamplingChainOptions) {
    const { sampling } = options;
    this.#options = options;
    this.#endsBarred = sampling.minTokens > 0;
    const repeats = sampling.repetitionPenalty !== 1;
    const counts = sampling.frequencyPenalty !== 0 || sampling.presencePenalty !== 0;
    // One penalty sampler has one list of tokens, but repetition looks at prompt and output and the other two at the
    // output alone. Asked for together, the other two become biases that follow the counts.
    this.#biasOnCounts = repeats && counts;
    this.#fixed = fixedConfig(options);
    this.sampler = new options.addon.AddonSampler(options.model);
    this.plainGreedy =
      sampling.temperature === 0 &&
      !repeats &&
      !counts &&
      sampling.logitBias.size === 0 &&
      sampling.minTokens === 0 &&
      options.grammar === undefined;
    this.#apply();
  }

  /** Takes note of the token that this chain chose; the native samplers have already done so. */
  accept(tokenId: number): void {
    this.#output.push(tokenId);
    const barLifted = this.#endsBarred && this.#output.length >= this.#options.sampling.minTokens;
    if (barLifted) this.#endsBarred = false;
    if (this.#biasOnCounts) this.#counts.set(tokenId, (this.#counts.get(tokenId) ?? 0) + 1);
    if (barLifted || this.#biasOnCounts) this.#apply();
  }

  /**
   * A sampler of this output alone whose chain leaves the logits as the model gave them, for logprobs. Not shared
   * between outputs: a native sampler holds its candidates and outputs are sampled on several threads at once.
   */
  get unaltered(): AddonSampler {
    if (this.plainGreedy) return this.sampler;
    if (this.#unaltered === undefined) {
      this.#unaltered = new this.#options.addon.AddonSampler(this.#options.model);
      this.#unaltered.applyConfig({ temperature: 0 });
    }
    return this.#unaltered;
  }

  /** Only while no sampling runs on it: the native part is freed at once. */
  dispose(): void {
    this.sampler.dispose();
    this.#unaltered?.dispose();
  }

  #apply(): void {
    this.sampler.applyConfig({ ...this.#fixed, ...this.#penalties(), ...this.#bias() });
  }

  #penalties(): Partial<SamplerConfig> {
    const { sampling, promptTokenIds, maxModelLenTokens } = this.#options;
    const repeats = sampling.repetitionPenalty !== 1;
    const counts = sampling.frequencyPenalty !== 0 || sampling.presencePenalty !== 0;
    if (!repeats && !counts) return {};
    return {
      repeatPenalty: sampling.repetitionPenalty,
      repeatPenaltyMaxTokens: maxModelLenTokens,
      repeatPenaltyTokens: Uint32Array.from(repeats ? [...promptTokenIds, ...this.#output] : this.#output),
      repeatPenaltyFrequencyPenalty: this.#biasOnCounts ? 0 : sampling.frequencyPenalty,
      repeatPenaltyPresencePenalty: this.#biasOnCounts ? 0 : sampling.presencePenalty,
    };
  }

  #bias(): Partial<SamplerConfig> {
    const { sampling, endTokenIds, grammar } = this.#options;
    const bias = new Map(sampling.logitBias);
    for (const [tokenId, count] of this.#counts) {
      const penalty = sampling.frequencyPenalty * count + sampling.presencePenalty;
      bias.set(tokenId, (bias.get(tokenId) ?? 0) - penalty);
    }
    // A finished grammar leaves nothing but end tokens, and then one of them must still be there to choose.
    const bar = grammar === undefined ? Number.NEGATIVE_INFINITY : farBack;
    if (this.#endsBarred) for (const tokenId of endTokenIds) bias.set(tokenId, bar);
    if (bias.size === 0) return {};
    return { tokenBiasKeys: Uint32Array.from(bias.keys()), tokenBiasValues: Float32Array.from(bias.values()) };
  }
}

function fixedConfig({ sampling, index, grammar }: SamplingChainOptions): SamplerConfig {
  const { temperature, topK, topP, minP } = sampling;
  const constrained = grammar === undefined ? {} : { grammarEvaluationState: grammar };
  if (temperature === 0) return { temperature: 0, ...constrained };
  return {
    temperature,
    ...constrained,
    ...(topK > 0 ? { topK } : {}),
    ...(topP < 1 ? { topP } : {}),
    // After the temperature T a token is kept if p/p_max >= minP. Before it, the same cut is at minP^T.
    ...(minP > 0 ? { minP: minP ** temperature } : {}),
    // The native seed is 32 bits; without one the addon would take the time in seconds, alike for a whole batch.
    seed: sampling.seed === undefined ? randomInt(2 ** 32) : (sampling.seed + index) >>> 0,
  };
}
