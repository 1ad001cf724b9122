import type { KvCacheEvent } from "../../../engine/kv-events.ts";
import { type BlockHolder, type KvBlockNode, KvBlocks } from "./kv-blocks.ts";

/** One sequence of the context: its own cells of the KV cache and the tokens that are computed in them. */
export interface KvSlot extends BlockHolder {
  readonly id: number;
  /** Tokens whose keys and values lie in the cells, from position 0. Changed by {@link KvSlots} alone. */
  readonly tokens: number[];
  busy: boolean;
  /** Higher is more recent. */
  lastUse: number;
  /** False once the first cells are gone (a sliding window has moved on): nobody can start from here. */
  shareable: boolean;
}

/** Where a prompt starts: `slot` is free, `length` of its tokens can be taken over from `source` (maybe the slot itself). */
export interface SlotChoice {
  readonly slot: KvSlot;
  readonly source: KvSlot;
  readonly length: number;
}

/**
 * The book of the context's sequences: which are taken, and what an old or a running one has already computed of a new
 * prompt. It moves no cells itself; the caller does as the choice says and then calls {@link take}.
 *
 * Full blocks are found by their place in the tree of {@link KvBlocks}, and told as events; the tokens after the last
 * full block are taken over as well.
 */
export class KvSlots {
  readonly slots: readonly KvSlot[];
  readonly #blocks: KvBlocks;
  #sharing = true;
  #uses = 0;

  constructor(count: number, blockSizeTokens: number) {
    this.#blocks = new KvBlocks(blockSizeTokens);
    this.slots = Array.from({ length: count }, (_, id) => ({
      id,
      tokens: [],
      blocks: [],
      busy: false,
      lastUse: 0,
      shareable: true,
    }));
  }

  get free(): number {
    return this.slots.reduce((free, slot) => free + (slot.busy ? 0 : 1), 0);
  }

  /**
   * Finds the free slot that a prompt should use and the longest computed prefix, at most `maxLength` tokens of it.
   * Undefined when no slot is free.
   *
   * A free slot that holds nothing beyond the prefix is used in place. Otherwise the prefix is copied to the slot whose
   * loss costs least: an empty one, one whose blocks others hold too, the one unused for longest.
   */
  choose(prompt: readonly number[], maxLength: number): SlotChoice | undefined {
    const victim = this.#cheapest();
    if (victim === undefined) return undefined;
    const found = this.#longest(prompt, maxLength);
    if (found === undefined) return { slot: victim, source: victim, length: 0 };
    const { source, length } = found;
    const endsWithPrefix = source.tokens.length - length < this.#blocks.blockSizeTokens;
    return { slot: !source.busy && endsWithPrefix ? source : victim, source, length };
  }

  /** Marks the slot as taken, with the first `length` tokens of the prompt in its cells. */
  take(slot: KvSlot, prompt: readonly number[], length: number): void {
    const shared = commonPrefix(slot.tokens, prompt, 0, length);
    this.#blocks.truncate(slot, Math.floor(shared / this.#blocks.blockSizeTokens));
    slot.busy = true;
    slot.lastUse = ++this.#uses;
    slot.shareable = true;
    slot.tokens.length = 0;
    this.computed(slot, prompt.slice(0, length));
  }

  /** More tokens lie in the slot's cells, after those that lay there. */
  computed(slot: KvSlot, tokens: Iterable<number>): void {
    for (const token of tokens) slot.tokens.push(token);
    if (this.#sharing && slot.shareable) this.#blocks.extend(slot, slot.tokens);
  }

  /** Frees the slot; what is computed in it stays for later prompts. */
  release(slot: KvSlot): void {
    slot.busy = false;
    slot.lastUse = ++this.#uses;
  }

  /** The slot's cells are empty or undefined. */
  forget(slot: KvSlot): void {
    this.#blocks.truncate(slot, 0);
    slot.tokens.length = 0;
    slot.shareable = true;
  }

  /** The slot's first cells are gone, so that its tokens serve nobody but the output that runs in it. */
  loseBeginning(slot: KvSlot): void {
    this.#blocks.truncate(slot, 0);
    slot.shareable = false;
  }

  /** This model's cells cannot be taken over in part: nothing is shared from now on. */
  stopSharing(): void {
    this.#blocks.clear(this.slots);
    this.#sharing = false;
  }

  /** All slots are free and their cells empty. */
  clear(): void {
    for (const slot of this.slots) this.forget(slot);
    this.#blocks.clear(this.slots);
  }

  /** What changed in the blocks since the last call, oldest first. */
  takeEvents(): readonly KvCacheEvent[] {
    return this.#blocks.takeEvents();
  }

  #longest(prompt: readonly number[], maxLength: number): { source: KvSlot; length: number } | undefined {
    if (!this.#sharing) return undefined;
    const { node, length } = this.#blocks.find(prompt, maxLength);
    let best: { source: KvSlot; length: number } | undefined;
    for (const slot of this.slots) {
      if (!slot.shareable || (node !== undefined && !holds(slot, node))) continue;
      const common = commonPrefix(slot.tokens, prompt, length, maxLength);
      if (common === 0) continue;
      // Of equal prefixes the free one wins: often nothing has to be copied.
      const isBetter =
        best === undefined || common > best.length || (common === best.length && best.source.busy && !slot.busy);
      if (isBetter) best = { source: slot, length: common };
    }
    return best;
  }

  #cheapest(): KvSlot | undefined {
    let best: KvSlot | undefined;
    for (const slot of this.slots) {
      if (slot.busy) continue;
      if (best === undefined || isCheaper(slot, best)) best = slot;
    }
    return best;
  }
}

function holds(slot: KvSlot, node: KvBlockNode): boolean {
  return node.holders.has(slot);
}

function isCheaper(one: KvSlot, other: KvSlot): boolean {
  const [a, b] = [lossOf(one), lossOf(other)];
  return a === b ? one.lastUse < other.lastUse : a < b;
}

/** Nothing, nothing but copies, or blocks that are nowhere else. */
function lossOf(slot: KvSlot): 0 | 1 | 2 {
  if (slot.tokens.length === 0) return 0;
  // Whoever holds the last block holds all of them.
  const last = slot.blocks.at(-1);
  return last === undefined || last.holders.size > 1 ? 1 : 2;
}

/** How many tokens agree, when the first `from` are known to. */
function commonPrefix(a: readonly number[], b: readonly number[], from: number, maxLength: number): number {
  const end = Math.min(a.length, b.length, maxLength);
  let length = from;
  while (length < end && a[length] === b[length]) length++;
  return length;
}
