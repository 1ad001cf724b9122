import type { Finish, PromptLogprobs, TopLogprobs } from "../../../engine/output.ts";
import type { ChildSampling } from "../ipc.ts";
import type { KvSlot } from "./kv-slots.ts";
import type { SamplingChain } from "./sampling-chain.ts";
import type { StopText } from "./stop-text.ts";

/** A request in the child: its prompt and its n outputs. */
export interface ChildRequest {
  readonly id: string;
  readonly promptTokenIds: readonly number[];
  readonly sampling: ChildSampling;
  readonly outputs: readonly OutputSequence[];
}

/** What a sequence holds while it runs. */
export interface RunningParts {
  readonly slot: KvSlot;
  readonly chain: SamplingChain;
  readonly stopText: StopText | undefined;
}

/**
 * One output of a request: a sequence that waits for a slot, prefills its prompt in chunks, and then decodes a token
 * per step until a rule ends it.
 */
export class OutputSequence {
  readonly request: ChildRequest;
  readonly index: number;
  /** Prompt and output; what lies in the KV cache is a prefix of it. */
  readonly tokens: number[];
  /** Set while the sequence has a slot. */
  parts: RunningParts | undefined;
  cachedTokens = 0;
  finished = false;
  /** Logprobs of the prompt while they are gathered and until they were sent. */
  promptLogprobs: PromptLogprobsGathering | undefined;

  constructor(request: ChildRequest, index: number) {
    this.request = request;
    this.index = index;
    this.tokens = [...request.promptTokenIds];
    if (request.sampling.promptLogprobs !== undefined) this.promptLogprobs = new PromptLogprobsGathering(this.tokens);
  }

  get promptLength(): number {
    return this.request.promptTokenIds.length;
  }

  get outputLength(): number {
    return this.tokens.length - this.promptLength;
  }

  /** Tokens in the KV cache. */
  get computed(): number {
    return this.parts?.slot.tokens.length ?? 0;
  }

  get prefilling(): boolean {
    return this.computed < this.promptLength;
  }

  /**
   * Outputs of one prompt share its prefill: all but the first wait until the first has computed the prompt, and then
   * take it over.
   */
  get waitsForLead(): boolean {
    const lead = this.request.outputs[0];
    if (lead === undefined || lead === this) return false;
    return !lead.finished && (lead.parts === undefined || lead.prefilling);
  }
}

/** Collects the prompt's logprobs over the chunks of a prefill. Position 0 has none. */
export class PromptLogprobsGathering {
  readonly #tokenIds: readonly number[];
  readonly #tokenLogprobs: (number | undefined)[] = [undefined];
  readonly #top: TopLogprobs[] = [{ tokenIds: [], values: [] }];

  constructor(promptTokenIds: readonly number[]) {
    this.#tokenIds = [...promptTokenIds];
  }

  add(tokenLogprob: number, top: TopLogprobs): void {
    this.#tokenLogprobs.push(tokenLogprob);
    this.#top.push(top);
  }

  result(): PromptLogprobs {
    return { tokenIds: this.#tokenIds, tokenLogprobs: this.#tokenLogprobs, top: this.#top };
  }
}

/**
 * Decides whether the token just added ends the output, in vLLM's order (vllm/v1/core/sched/utils.py, check_stop):
 * nothing before min_tokens but the length, then EOS, stop ids, length; the stop string, which vLLM finds in its
 * detokenizer, counts where the length does not.
 */
export function finishOf(
  sequence: OutputSequence,
  eosTokenIds: ReadonlySet<number>,
  matchedText: string | undefined,
  maxModelLenTokens: number,
): Finish | undefined {
  const { sampling } = sequence.request;
  const tokenId = sequence.tokens.at(-1);
  // A finished grammar leaves nothing but EOS, so it ends a constrained output even before min_tokens and where EOS is
  // ignored.
  if (tokenId !== undefined && sampling.gbnf !== undefined && eosTokenIds.has(tokenId)) return { reason: "stop" };
  if (tokenId !== undefined && sequence.outputLength >= sampling.minTokens) {
    if (!sampling.ignoreEos && eosTokenIds.has(tokenId)) return { reason: "stop" };
    if (sampling.stopTokenIds.includes(tokenId)) return { reason: "stop", matched: { tokenId } };
    if (matchedText !== undefined) return { reason: "stop", matched: { text: matchedText } };
  }
  const full = sequence.tokens.length >= maxModelLenTokens;
  if (full || sequence.outputLength >= (sampling.maxTokens ?? Number.POSITIVE_INFINITY)) return { reason: "length" };
  return undefined;
}
