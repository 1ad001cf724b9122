import type { EngineKvEvent } from "@tokenwire/engine-core";
import type { KvBlock, KvCacheEvent } from "../../../engine/kv-events.ts";

type StoredEvent = EngineKvEvent & { readonly t: "stored" };
type RemovedEvent = EngineKvEvent & { readonly t: "removed" };

interface Held {
  readonly hash: bigint;
  readonly block: KvBlock;
  readonly parentHash: bigint | undefined;
  readonly loraName: string | undefined;
  /** Blocks of the engine's memory with this content. */
  copies: number;
  /** A block serves a request only together with all before it, so it is told while those are there. */
  isTold: boolean;
}

/** Caches in which a block's content serves every later request with the same beginning. */
const wholePrefixKinds: ReadonlySet<string | undefined> = new Set([
  ...["full_attention", "mla_attention", "sink_full_attention", "unknown"],
  undefined,
]);

/** As many as the service keeps; an engine that tells of more is not believed. */
const mostHeldBlocks = 2_097_152;

/**
 * What one rank's prefix cache holds, from what vLLM publishes to what the contract of `engine/kv-events.ts` says.
 *
 * vLLM tells of every copy of a block, in every group of layers, on every medium; and it may give up a block before those
 * that follow it. Here a block is told once, with its first copy, while all before it are there, for the first group that
 * keeps whole prefixes, and for the engine's own memory alone. Blocks that depend on more than tokens and adapter (an image, a
 * salt) serve no other request and are not told, nor are those that follow them.
 */
export class RankBlocks {
  readonly #mostBlocks: number;
  readonly #held = new Map<bigint, Held>();
  /** Hashes by their parent's, whether that is here or not. */
  readonly #childrenOf = new Map<bigint, Set<bigint>>();
  #group: number | undefined;
  #blockSizeTokens: number | undefined;
  #news: KvCacheEvent[] = [];

  constructor(mostBlocks: number = mostHeldBlocks) {
    this.#mostBlocks = mostBlocks;
  }

  /** What is new after the events of a step; empty when nothing is. */
  apply(events: readonly EngineKvEvent[]): readonly KvCacheEvent[] {
    this.#news = [];
    for (const event of events) {
      if (event.t === "stored") this.#stored(event);
      else if (event.t === "removed") this.#removed(event);
      else this.#cleared();
    }
    if (this.#held.size > this.#mostBlocks) {
      this.forget();
      this.#news = [{ t: "gap" }];
    }
    return this.#news;
  }

  /** Nothing is known any more. */
  forget(): void {
    this.#held.clear();
    this.#childrenOf.clear();
  }

  #stored(event: StoredEvent): void {
    const { blockHashes, tokenIds, blockSizeTokens, extraKeys, loraName, groupIndex } = event;
    if (!isOwnMedium(event.medium) || !wholePrefixKinds.has(event.specKind)) return;
    this.#group ??= groupIndex ?? 0;
    this.#blockSizeTokens ??= blockSizeTokens;
    // Parts of blocks, and layers that leave some out, cannot be told by whole blocks.
    const isWhole =
      blockSizeTokens === this.#blockSizeTokens && tokenIds.length === blockHashes.length * blockSizeTokens;
    if ((groupIndex ?? 0) !== this.#group || !isWhole) return;
    let parentHash = event.parentBlockHash;
    for (const [index, hash] of blockHashes.entries()) {
      if (!isShared(extraKeys?.[index], loraName)) return;
      const held = this.#held.get(hash);
      if (held !== undefined) held.copies += 1;
      else {
        const first = index * blockSizeTokens;
        const block = { hash, tokenIds: tokenIds.slice(first, first + blockSizeTokens) };
        this.#hold({ hash, block, parentHash, loraName, copies: 1, isTold: false });
      }
      parentHash = hash;
    }
  }

  #hold(held: Held): void {
    const { hash, parentHash } = held;
    this.#held.set(hash, held);
    if (parentHash !== undefined) {
      const siblings = this.#childrenOf.get(parentHash);
      if (siblings === undefined) this.#childrenOf.set(parentHash, new Set([hash]));
      else siblings.add(hash);
    }
    if (parentHash === undefined || this.#held.get(parentHash)?.isTold === true) this.#tell(held);
  }

  /** Tells a block, and those after it that waited for it. */
  #tell(first: Held): void {
    for (const held of this.#withFollowers(first, (follower) => !follower.isTold)) {
      held.isTold = true;
      const last = this.#news.at(-1);
      const goesOn =
        last?.t === "stored" && last.blocks.at(-1)?.hash === held.parentHash && last.loraName === held.loraName;
      if (goesOn) (last.blocks as KvBlock[]).push(held.block);
      else {
        const { parentHash, loraName, block } = held;
        this.#news.push({ t: "stored", parentHash, blocks: [block], loraName });
      }
    }
  }

  #removed({ blockHashes, medium, groupIndex }: RemovedEvent): void {
    if (!isOwnMedium(medium) || (groupIndex ?? 0) !== this.#group) return;
    for (const hash of blockHashes) {
      const held = this.#held.get(hash);
      // Not told, or of a time that nobody knows of.
      if (held === undefined) continue;
      held.copies -= 1;
      if (held.copies > 0) continue;
      if (held.isTold) this.#withdraw(held);
      this.#drop(held);
    }
  }

  /** Takes back a block after those that follow it, which the engine may hold for longer. */
  #withdraw(first: Held): void {
    const hashes: bigint[] = [];
    for (const held of this.#withFollowers(first, (follower) => follower.isTold)) {
      held.isTold = false;
      hashes.push(held.hash);
    }
    hashes.reverse();
    const last = this.#news.at(-1);
    if (last?.t === "removed") (last.hashes as bigint[]).push(...hashes);
    else this.#news.push({ t: "removed", hashes });
  }

  #drop({ hash, parentHash }: Held): void {
    this.#held.delete(hash);
    if (parentHash === undefined) return;
    const siblings = this.#childrenOf.get(parentHash);
    siblings?.delete(hash);
    if (siblings?.size === 0) this.#childrenOf.delete(parentHash);
  }

  /** A block and all that follow it as far as the condition holds, parents before their children. */
  #withFollowers(first: Held, condition: (follower: Held) => boolean): readonly Held[] {
    const found = [first];
    for (const { hash } of found) {
      for (const child of this.#childrenOf.get(hash) ?? []) {
        const held = this.#held.get(child);
        if (held !== undefined && condition(held)) found.push(held);
      }
    }
    return found;
  }

  #cleared(): void {
    this.forget();
    this.#news.push({ t: "cleared" });
  }
}

function isOwnMedium(medium: string | undefined): boolean {
  return medium === undefined || medium.toUpperCase() === "GPU";
}

/** vLLM lists the adapter among the extra keys; it is told apart from them. */
function isShared(keys: readonly unknown[] | undefined, loraName: string | undefined): boolean {
  return keys === undefined || keys.every((key) => loraName !== undefined && key === loraName);
}
