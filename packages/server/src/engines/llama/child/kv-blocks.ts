import { kvBlockHash } from "../../../engine/kv-block-hash.ts";
import type { KvBlock, KvCacheEvent } from "../../../engine/kv-events.ts";

/** Whoever holds blocks: a sequence of the context. */
export interface BlockHolder {
  /** The blocks of its first tokens, each one the next one's parent. Changed by {@link KvBlocks} alone. */
  readonly blocks: KvBlockNode[];
}

/** A block that at least one sequence holds, below the block that comes before it. */
export interface KvBlockNode {
  readonly block: KvBlock;
  readonly parent: KvBlockNode | undefined;
  readonly holders: Set<BlockHolder>;
  readonly children: Map<string, KvBlockNode>;
}

type StoredEvent = KvCacheEvent & { readonly t: "stored" };

/**
 * Which blocks of tokens lie in the context's sequences, as a tree: a block is there while a sequence holds it, whatever
 * other sequences hold a copy. A sequence that holds a block holds all before it, so a block never outlives its parent.
 *
 * Every change is written down as an event until {@link takeEvents} fetches it.
 */
export class KvBlocks {
  readonly blockSizeTokens: number;
  readonly #roots = new Map<string, KvBlockNode>();
  #events: KvCacheEvent[] = [];

  constructor(blockSizeTokens: number) {
    this.blockSizeTokens = blockSizeTokens;
  }

  /** Books the full blocks of `tokens` that the holder does not hold yet. */
  extend(holder: BlockHolder, tokens: readonly number[]): void {
    const size = this.blockSizeTokens;
    while (tokens.length >= (holder.blocks.length + 1) * size) {
      const first = holder.blocks.length * size;
      this.#hold(holder, tokens.slice(first, first + size));
    }
  }

  /** Lets go of all blocks but the first `count`. */
  truncate(holder: BlockHolder, count: number): void {
    const removed: bigint[] = [];
    while (holder.blocks.length > count) {
      const node = holder.blocks.pop() as KvBlockNode;
      node.holders.delete(holder);
      if (node.holders.size > 0) continue;
      (node.parent?.children ?? this.#roots).delete(keyOf(node.block.tokenIds));
      removed.push(node.block.hash);
    }
    if (removed.length > 0) this.#events.push({ t: "removed", hashes: removed });
  }

  /** The last block of the longest run of blocks that begins the prompt within `maxLength` tokens. */
  find(
    prompt: readonly number[],
    maxLength: number,
  ): { readonly node: KvBlockNode | undefined; readonly length: number } {
    const size = this.blockSizeTokens;
    let node: KvBlockNode | undefined;
    let length = 0;
    while (length + size <= Math.min(maxLength, prompt.length)) {
      const next = (node?.children ?? this.#roots).get(keyOf(prompt.slice(length, length + size)));
      if (next === undefined) break;
      node = next;
      length += size;
    }
    return { node, length };
  }

  /** All holders let go of everything, told as one event. */
  clear(holders: Iterable<BlockHolder>): void {
    for (const holder of holders) this.truncate(holder, 0);
    this.#events = [{ t: "cleared" }];
  }

  /** What changed since the last call, oldest first. */
  takeEvents(): readonly KvCacheEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #hold(holder: BlockHolder, tokenIds: readonly number[]): void {
    const parent = holder.blocks.at(-1);
    const siblings = parent?.children ?? this.#roots;
    const key = keyOf(tokenIds);
    let node = siblings.get(key);
    if (node === undefined) {
      const block = { hash: kvBlockHash(parent?.block.hash, tokenIds), tokenIds };
      node = { block, parent, holders: new Set(), children: new Map() };
      siblings.set(key, node);
      this.#stored(node);
    }
    node.holders.add(holder);
    holder.blocks.push(node);
  }

  #stored({ block, parent }: KvBlockNode): void {
    const last = this.#events.at(-1);
    if (last?.t === "stored" && last.blocks.at(-1)?.hash === parent?.block.hash) {
      const longer: StoredEvent = { ...last, blocks: [...last.blocks, block] };
      this.#events[this.#events.length - 1] = longer;
    } else {
      this.#events.push({ t: "stored", parentHash: parent?.block.hash, blocks: [block] });
    }
  }
}

function keyOf(tokenIds: readonly number[]): string {
  return tokenIds.join(",");
}
