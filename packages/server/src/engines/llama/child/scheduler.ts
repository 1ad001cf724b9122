import { EngineError } from "../../../engine/errors.ts";
import type { KvCacheEvent } from "../../../engine/kv-events.ts";
import type { OutputDelta } from "../../../engine/output.ts";
import { HitRate } from "../../../operations/hit-rate.ts";
import type { ChildCounters, ChildSampling, ErrorFacts, RequestDelta, RequestFailure } from "../ipc.ts";
import type { AddonContext } from "./addon.ts";
import { type KvSlot, KvSlots } from "./kv-slots.ts";
import { readLogprobs } from "./logprobs.ts";
import type { LlamaModel } from "./model.ts";
import { type ChildRequest, finishOf, OutputSequence } from "./output-sequence.ts";
import { SamplingChain } from "./sampling-chain.ts";
import { planStep, type StepShare } from "./step-plan.ts";
import { StopText } from "./stop-text.ts";

export interface SchedulerOptions {
  readonly model: LlamaModel;
  readonly context: AddonContext;
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  readonly maxModelLenTokens: number;
  /** Tokens of one block of the prefix cache. */
  readonly kvBlockSizeTokens: number;
  /** Called once per step, and when an abort or a failure came without one. */
  readonly onStep: (
    deltas: readonly RequestDelta[],
    failures: readonly RequestFailure[],
    counters: ChildCounters,
    kvEvents: readonly KvCacheEvent[],
  ) => void;
}

/**
 * Continuous batching over one llama.cpp context.
 *
 * A loop runs while there is work: between two steps it takes aborts, admits waiting outputs to free slots and answers
 * whoever asked for a turn; a step is one forward pass over all running outputs and one sampled token for each that
 * has its prompt computed. Nothing else touches the context.
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #slots: KvSlots;
  readonly #hitRate = new HitRate(64);
  readonly #requests = new Map<string, ChildRequest>();
  readonly #aborted = new Set<string>();
  #waiting: OutputSequence[] = [];
  #running: OutputSequence[] = [];
  #turns: (() => void)[] = [];
  #deltas: RequestDelta[] = [];
  #failures: RequestFailure[] = [];
  #steps = 0;
  #generatedTokens = 0;
  #looping = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#slots = new KvSlots(options.maxNumSeqs, options.kvBlockSizeTokens);
  }

  /** Queues a request. The prompt's length was checked. */
  add(id: string, promptTokenIds: readonly number[], sampling: ChildSampling): void {
    const outputs: OutputSequence[] = [];
    const request: ChildRequest = { id, promptTokenIds, sampling, outputs };
    for (let index = 0; index < sampling.n; index++) outputs.push(new OutputSequence(request, index));
    this.#requests.set(id, request);
    this.#waiting.push(...outputs);
    this.#wake();
  }

  /** Ends a request with a failure that was found before it was queued. */
  refuse(id: string, error: EngineError): void {
    this.#failures.push({ id, error: facts(error) });
    this.#wake();
  }

  abort(id: string): void {
    if (!this.#requests.has(id)) return;
    this.#aborted.add(id);
    this.#wake();
  }

  /** Calls back from inside the loop, between two steps: proof that the loop turns. */
  onTurn(callback: () => void): void {
    this.#turns.push(callback);
    this.#wake();
  }

  /** Forgets every prefix. False while a request is in flight. Call it from {@link onTurn}. */
  flushCache(): boolean {
    if (this.#requests.size > 0) return false;
    for (const slot of this.#slots.slots) this.#options.context.disposeSequence(slot.id);
    this.#slots.clear();
    // Before the caller hears of it, so that nobody reads of blocks that are gone.
    this.#report();
    return true;
  }

  counters(): ChildCounters {
    const pending = [...this.#waiting, ...this.#running];
    const running = new Set(this.#running.map((sequence) => sequence.request));
    return {
      steps: this.#steps,
      generatedTokens: this.#generatedTokens,
      runningRequests: running.size,
      waitingRequests: this.#requests.size - running.size,
      waitingPromptTokens: pending.reduce((sum, each) => sum + Math.max(0, each.promptLength - each.computed), 0),
      usedKvTokens: this.#running.reduce((sum, each) => sum + each.computed, 0),
      cacheHitRate: this.#hitRate.value,
    };
  }

  #wake(): void {
    if (this.#looping) return;
    this.#looping = true;
    // A later turn of the event loop, so that requests which arrive together start together.
    setImmediate(() => void this.#loop());
  }

  async #loop(): Promise<void> {
    for (;;) {
      this.#takeAborts();
      await this.#admit();
      const turns = this.#turns;
      this.#turns = [];
      for (const turn of turns) turn();
      if (this.#running.length === 0) {
        this.#report();
        if (this.#waiting.length === 0 && this.#turns.length === 0 && this.#aborted.size === 0) break;
        continue;
      }
      await this.#step();
      this.#report();
    }
    this.#looping = false;
  }

  #report(): void {
    const deltas = this.#deltas;
    const failures = this.#failures;
    this.#deltas = [];
    this.#failures = [];
    this.#options.onStep(deltas, failures, this.counters(), this.#slots.takeEvents());
  }

  #takeAborts(): void {
    for (const id of this.#aborted) {
      for (const sequence of this.#requests.get(id)?.outputs ?? []) {
        if (sequence.finished) continue;
        this.#emit(sequence, { tokenIds: [], finish: { reason: "abort" } });
        this.#end(sequence);
      }
    }
    this.#aborted.clear();
  }

  async #admit(): Promise<void> {
    const stillWaiting: OutputSequence[] = [];
    for (const sequence of this.#waiting) {
      if (sequence.finished) continue;
      if (sequence.waitsForLead || this.#slots.free === 0) stillWaiting.push(sequence);
      else await this.#start(sequence);
    }
    this.#waiting = stillWaiting;
  }

  async #start(sequence: OutputSequence): Promise<void> {
    const { context, model } = this.#options;
    const { sampling, promptTokenIds } = sequence.request;
    // The last token is always computed: its logits give the first output token. Prompt logprobs need all of them.
    const reusable = sequence.promptLogprobs === undefined ? sequence.promptLength - 1 : 0;
    const choice = this.#slots.choose(promptTokenIds, reusable);
    if (choice === undefined) throw new Error("no free slot although one was counted");
    const { slot, source } = choice;
    try {
      const length = await this.#moveCells(slot, source, choice.length);
      this.#slots.take(slot, promptTokenIds, length);
      sequence.cachedTokens = length;
      this.#hitRate.add(length, sequence.promptLength);
      const chain = new SamplingChain({
        addon: model.addon,
        model: model.native,
        sampling,
        index: sequence.index,
        promptTokenIds,
        grammar: sampling.gbnf === undefined ? undefined : model.grammarState(sampling.gbnf),
        endTokenIds: [...model.eosTokenIds, ...sampling.stopTokenIds],
        maxModelLenTokens: this.#options.maxModelLenTokens,
      });
      const stopText = sampling.stop.length > 0 ? new StopText(sampling.stop) : undefined;
      sequence.parts = { slot, chain, stopText };
      this.#running.push(sequence);
    } catch (thrown) {
      context.disposeSequence(slot.id);
      this.#slots.forget(slot);
      slot.busy = false;
      this.#fail(sequence.request, EngineError.from(thrown));
    }
  }

  /** Brings the first `length` tokens of the source's cells into the slot; answers how many it holds then. */
  async #moveCells(slot: KvSlot, source: KvSlot, length: number): Promise<number> {
    const { context } = this.#options;
    if (length > 0 && this.#hasBeginning(source)) {
      if (slot !== source) await context.copySequenceStateFromOtherSequence(slot.id, source.id);
      if (context.removeTokenCellsFromSequence(slot.id, length, -1)) return length;
      this.#slots.stopSharing();
    }
    context.disposeSequence(slot.id);
    return 0;
  }

  /** Cells from a later minimum on mean a sliding window that has moved: the early tokens are gone. */
  #hasBeginning(slot: KvSlot): boolean {
    if (this.#options.context.getSequenceKvCacheMinPosition(slot.id) === 0) return true;
    this.#slots.loseBeginning(slot);
    return false;
  }

  async #step(): Promise<void> {
    const { context, maxNumBatchedTokens } = this.#options;
    const shares = planStep(this.#running, maxNumBatchedTokens);
    let indexes: Uint32Array[];
    try {
      context.initBatch(shares.reduce((sum, share) => sum + share.tokens.length, 0));
      indexes = shares.map((share) =>
        context.addToBatch(share.sequence.parts?.slot.id ?? 0, share.first, share.tokens, logitPositions(share)),
      );
      await context.decodeBatch();
    } catch (thrown) {
      // The pass left the cells of everything in it undefined.
      const error = EngineError.from(thrown);
      for (const { sequence } of shares) this.#forgetCells(sequence);
      // Only now: a request that fails lets go of the slots of all its outputs.
      for (const { sequence } of shares) this.#fail(sequence.request, error);
      return;
    }
    this.#steps++;
    for (const share of shares) this.#computed(share);
    const sampled = await Promise.allSettled(
      shares.map((share, i) => this.#sample(share, indexes[i] ?? new Uint32Array())),
    );
    // Only now: to end an output frees its native sampler, which no thread may still use.
    for (const [i, result] of sampled.entries()) {
      const { sequence } = shares[i] as StepShare;
      if (result.status === "rejected") this.#fail(sequence.request, EngineError.from(result.reason));
      else if (result.value) this.#end(sequence);
    }
  }

  #computed({ sequence, tokens }: StepShare): void {
    const slot = sequence.parts?.slot;
    if (slot === undefined) return;
    const before = slot.blocks.length;
    this.#slots.computed(slot, tokens);
    // Before the blocks are told of: what a window has left behind serves nobody.
    if (slot.blocks.length > before) this.#hasBeginning(slot);
  }

  /** Answers true when the share's output has ended. */
  async #sample(share: StepShare, batchIndexes: Uint32Array): Promise<boolean> {
    await this.#gatherPromptLogprobs(share, batchIndexes);
    const last = batchIndexes.at(-1);
    return share.samples && last !== undefined ? this.#sampleToken(share.sequence, last) : false;
  }

  async #gatherPromptLogprobs(share: StepShare, batchIndexes: Uint32Array): Promise<void> {
    const { sequence, first, tokens } = share;
    const top = sequence.request.sampling.promptLogprobs;
    const greedy = sequence.parts?.chain.unaltered;
    if (sequence.promptLogprobs === undefined || top === undefined || greedy === undefined) return;
    for (let i = 0; i < tokens.length; i++) {
      const next = first + i + 1;
      if (next >= sequence.promptLength) break;
      const { context } = this.#options;
      const at = await readLogprobs(context, greedy, batchIndexes[i] ?? 0, sequence.tokens[next], top);
      sequence.promptLogprobs.add(at.tokenLogprob, at.top);
    }
  }

  async #sampleToken(sequence: OutputSequence, batchIndex: number): Promise<boolean> {
    const { context, model, maxModelLenTokens } = this.#options;
    const { parts } = sequence;
    if (parts === undefined) return false;
    const { chain } = parts;
    const wanted = sequence.request.sampling.logprobs;
    let tokenId: number;
    let logprobs: OutputDelta["logprobs"];
    if (wanted === undefined) {
      tokenId = await context.sampleToken(batchIndex, chain.sampler);
    } else {
      // The chain's own logits are cut and scaled, so the true ones take a second look unless it is plain greedy.
      const chosen = chain.plainGreedy ? undefined : await context.sampleToken(batchIndex, chain.sampler);
      const at = await readLogprobs(context, chain.unaltered, batchIndex, chosen, wanted);
      tokenId = chosen ?? at.greedyTokenId;
      logprobs = { tokenLogprobs: [at.tokenLogprob], top: [at.top] };
    }
    if (tokenId < 0) throw new EngineError("internal", "sampling left no token to choose");
    chain.accept(tokenId);
    sequence.tokens.push(tokenId);
    this.#generatedTokens++;
    const text = parts.stopText?.push(model.tokenBytes.of(tokenId));
    const finish = finishOf(sequence, model.eosTokenIdSet, text, maxModelLenTokens);
    this.#emit(sequence, { tokenIds: [tokenId], logprobs, finish });
    return finish !== undefined;
  }

  #emit(sequence: OutputSequence, news: Pick<OutputDelta, "tokenIds" | "logprobs" | "finish">): void {
    const promptLogprobs = sequence.promptLogprobs?.result();
    sequence.promptLogprobs = undefined;
    this.#deltas.push({
      id: sequence.request.id,
      delta: {
        index: sequence.index,
        promptTokens: sequence.promptLength,
        cachedTokens: sequence.cachedTokens,
        promptLogprobs,
        ...news,
      },
    });
  }

  /** Frees what the sequence holds, and forgets the request with its last output. */
  #end(sequence: OutputSequence): void {
    sequence.finished = true;
    if (sequence.parts !== undefined) {
      sequence.parts.chain.dispose();
      this.#slots.release(sequence.parts.slot);
      sequence.parts = undefined;
      this.#running = this.#running.filter((each) => each !== sequence);
    }
    if (sequence.request.outputs.every((output) => output.finished)) this.#requests.delete(sequence.request.id);
  }

  #fail(request: ChildRequest, error: EngineError): void {
    if (!this.#requests.has(request.id)) return;
    this.#failures.push({ id: request.id, error: facts(error) });
    for (const output of request.outputs) if (!output.finished) this.#end(output);
  }

  #forgetCells(sequence: OutputSequence): void {
    if (sequence.parts === undefined) return;
    this.#options.context.disposeSequence(sequence.parts.slot.id);
    this.#slots.forget(sequence.parts.slot);
  }
}

/** The positions of a share whose logits are read: the last one, or all where prompt logprobs are wanted. */
function logitPositions(share: StepShare): Uint32Array {
  const { sequence, tokens, samples } = share;
  if (sequence.promptLogprobs !== undefined) return Uint32Array.from(tokens, (_, i) => i);
  return samples ? Uint32Array.of(tokens.length - 1) : new Uint32Array();
}

function facts(error: EngineError): ErrorFacts {
  return { kind: error.kind, message: error.message, field: error.field };
}
