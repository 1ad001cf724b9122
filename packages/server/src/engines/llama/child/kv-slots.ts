/** One sequence of the context: its own cells of the KV cache and the tokens that are computed in them. */
export interface KvSlot {
  readonly id: number;
  /** Tokens whose keys and values lie in the cells, from position 0. */
  readonly tokens: number[];
  busy: boolean;
  /** Higher is more recent. */
  lastUse: number;
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
 */
export class KvSlots {
  readonly slots: readonly KvSlot[];
  #uses = 0;

  constructor(count: number) {
    this.slots = Array.from({ length: count }, (_, id) => ({ id, tokens: [], busy: false, lastUse: 0 }));
  }

  get free(): number {
    return this.slots.reduce((free, slot) => free + (slot.busy ? 0 : 1), 0);
  }

  /**
   * Finds the free slot that a prompt should use and the longest computed prefix, at most `maxLength` tokens of it.
   * Undefined when no slot is free.
   */
  choose(prompt: readonly number[], maxLength: number): SlotChoice | undefined {
    const free = this.slots.filter((slot) => !slot.busy);
    const oldest = free.reduce<KvSlot | undefined>(
      (best, slot) => (best && cost(best) <= cost(slot) ? best : slot),
      undefined,
    );
    if (oldest === undefined) return undefined;
    let source = oldest;
    let length = 0;
    for (const slot of this.slots) {
      const common = commonPrefix(slot.tokens, prompt, maxLength);
      // Of equal prefixes the free one wins: nothing has to be copied.
      if (common > length || (common === length && common > 0 && source.busy && !slot.busy)) {
        source = slot;
        length = common;
      }
    }
    if (length === 0) return { slot: oldest, source: oldest, length: 0 };
    // A free source is used in place, unless that would throw away more than it saves while an empty slot is at hand.
    if (!source.busy && (source.tokens.length === length || oldest.tokens.length > 0))
      return { slot: source, source, length };
    return { slot: oldest, source, length };
  }

  /** Marks the slot as taken, with the first `length` tokens of the prompt in its cells. */
  take(slot: KvSlot, prompt: readonly number[], length: number): void {
    slot.busy = true;
    slot.lastUse = ++this.#uses;
    slot.tokens.length = 0;
    for (let position = 0; position < length; position++) slot.tokens.push(prompt[position] as number);
  }

  /** Frees the slot; what is computed in it stays for later prompts. */
  release(slot: KvSlot): void {
    slot.busy = false;
    slot.lastUse = ++this.#uses;
  }
}

// Empty slots first, then the one unused for longest.
function cost(slot: KvSlot): number {
  return slot.tokens.length === 0 ? -1 : slot.lastUse;
}

function commonPrefix(a: readonly number[], b: readonly number[], maxLength: number): number {
  const end = Math.min(a.length, b.length, maxLength);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}
