import type { KvBlock, KvCacheEvent } from "../../../engine/kv-events.ts";

/** Events of one engine step with their number. */
export interface NumberedEvents {
  readonly sequence: number;
  /** Seconds since the epoch. */
  readonly timestampS: number;
  readonly events: readonly KvCacheEvent[];
}

/** What a cache held after the events up to `sequence`. */
export interface CacheSnapshot {
  readonly sequence: number;
  readonly timestampS: number;
  /** Blocks in the whole snapshot. */
  readonly blocks: number;
  /** Events before this number were lost, so there may be blocks that are not here; 0 when none were. */
  readonly unknownBefore: number;
  /** Stored events, parents before their children, cut so that a part makes one message. At least one part. */
  readonly parts: readonly (readonly (KvCacheEvent & { readonly t: "stored" })[])[];
}

export interface HistoryBounds {
  /** Batches that a reader may be behind before it gets a snapshot. */
  readonly mostBatches: number;
  /** Blocks in all those batches. */
  readonly mostBlocks: number;
  /** Blocks in one part of a snapshot. */
  readonly blocksPerPart: number;
  /** Blocks in the cache; an engine that tells of more is not believed. */
  readonly mostCachedBlocks: number;
}

/** 16 tokens each make a part of some 30 KiB, and the whole history a few MiB. */
export const historyBounds: HistoryBounds = {
  mostBatches: 8_192,
  mostBlocks: 65_536,
  blocksPerPart: 512,
  mostCachedBlocks: 2_097_152,
};

interface CachedBlock {
  readonly block: KvBlock;
  readonly parentHash: bigint | undefined;
  readonly loraName: string | undefined;
}

/**
 * The events of one data-parallel rank: it numbers them, keeps the last ones for readers that fall behind or come back,
 * and knows what the cache holds for all others.
 */
export class RankEvents {
  readonly dpRank: number;
  readonly #bounds: HistoryBounds;
  readonly #cached = new Map<bigint, CachedBlock>();
  #history: NumberedEvents[] = [];
  #historyBlocks = 0;
  #dropped = 0;
  readonly #base: number;
  #sequence: number;
  #timestampS = 0;
  #unknownBefore = 0;
  #snapshot: CacheSnapshot | undefined;

  /** `base` is the number before the first. */
  constructor(dpRank: number, base: number, bounds: HistoryBounds = historyBounds) {
    this.dpRank = dpRank;
    this.#base = base;
    this.#sequence = base;
    this.#bounds = bounds;
  }

  /** The last number given; the base before the first. */
  get sequence(): number {
    return this.#sequence;
  }

  /** True once there was an event. */
  get hasBegun(): boolean {
    return this.#sequence > this.#base;
  }

  accept(events: readonly KvCacheEvent[], timestampS: number): void {
    this.#sequence += 1;
    this.#timestampS = timestampS;
    this.#snapshot = undefined;
    let told = events;
    for (const event of events) this.#apply(event);
    if (this.#cached.size > this.#bounds.mostCachedBlocks) {
      told = [{ t: "gap" }];
      this.#apply({ t: "gap" });
    }
    this.#remember({ sequence: this.#sequence, timestampS, events: told });
  }

  /** The batch after this number; undefined when it is not kept any more, or has not happened. */
  after(sequence: number): NumberedEvents | undefined {
    const oldest = this.#history[this.#dropped];
    if (oldest === undefined || sequence + 1 < oldest.sequence) return undefined;
    return this.#history[this.#dropped + sequence + 1 - oldest.sequence];
  }

  /** True when a reader that knows everything up to this number can go on from there. */
  reaches(sequence: number): boolean {
    return sequence === this.#sequence || this.after(sequence) !== undefined;
  }

  /** What the cache holds now. Shared between those who ask before the next event. */
  snapshot(): CacheSnapshot {
    this.#snapshot ??= {
      sequence: this.#sequence,
      timestampS: this.#timestampS,
      blocks: this.#cached.size,
      unknownBefore: this.#unknownBefore,
      parts: inParts(storedEvents(this.#cached), this.#bounds.blocksPerPart),
    };
    return this.#snapshot;
  }

  #apply(event: KvCacheEvent): void {
    switch (event.t) {
      case "stored": {
        let { parentHash } = event;
        for (const block of event.blocks) {
          this.#cached.set(block.hash, { block, parentHash, loraName: event.loraName });
          parentHash = block.hash;
        }
        break;
      }
      case "removed":
        for (const hash of event.hashes) this.#cached.delete(hash);
        break;
      case "cleared":
        this.#cached.clear();
        this.#unknownBefore = 0;
        break;
      case "gap":
        this.#cached.clear();
        this.#unknownBefore = this.#sequence;
        break;
      default:
        event satisfies never;
    }
  }

  #remember(batch: NumberedEvents): void {
    this.#history.push(batch);
    this.#historyBlocks += blocksIn(batch);
    const { mostBatches, mostBlocks } = this.#bounds;
    while (this.#history.length - this.#dropped > mostBatches || this.#historyBlocks > mostBlocks) {
      const oldest = this.#history[this.#dropped];
      if (oldest === undefined) break;
      this.#historyBlocks -= blocksIn(oldest);
      this.#dropped += 1;
    }
    // Dropping in lots keeps the cost per batch constant.
    if (this.#dropped > this.#history.length / 2) {
      this.#history = this.#history.slice(this.#dropped);
      this.#dropped = 0;
    }
  }
}

function blocksIn({ events }: NumberedEvents): number {
  return events.reduce((sum, event) => {
    if (event.t === "stored") return sum + event.blocks.length;
    return event.t === "removed" ? sum + event.hashes.length : sum;
  }, 0);
}

/** The cache as stored events, one for each run of blocks without a fork. */
function storedEvents(cached: ReadonlyMap<bigint, CachedBlock>): (KvCacheEvent & { readonly t: "stored" })[] {
  const childrenOf = new Map<bigint, CachedBlock[]>();
  const open: CachedBlock[] = [];
  for (const entry of cached.values()) {
    if (entry.parentHash === undefined || !cached.has(entry.parentHash)) {
      open.push(entry);
      continue;
    }
    const siblings = childrenOf.get(entry.parentHash);
    if (siblings === undefined) childrenOf.set(entry.parentHash, [entry]);
    else siblings.push(entry);
  }
  const events: (KvCacheEvent & { readonly t: "stored" })[] = [];
  for (let first = open.pop(); first !== undefined; first = open.pop()) {
    const blocks: KvBlock[] = [];
    for (let entry: CachedBlock | undefined = first; entry !== undefined; ) {
      blocks.push(entry.block);
      const [next, ...forks]: CachedBlock[] = childrenOf.get(entry.block.hash) ?? [];
      // Another adapter begins an event of its own.
      const goesOn: boolean = next !== undefined && next.loraName === first.loraName;
      open.push(...forks, ...(next === undefined || goesOn ? [] : [next]));
      entry = goesOn ? next : undefined;
    }
    events.push({ t: "stored", parentHash: first.parentHash, blocks, loraName: first.loraName });
  }
  return events;
}

function inParts(
  events: readonly (KvCacheEvent & { readonly t: "stored" })[],
  blocksPerPart: number,
): (KvCacheEvent & { readonly t: "stored" })[][] {
  const parts: (KvCacheEvent & { readonly t: "stored" })[][] = [[]];
  let room = blocksPerPart;
  for (const event of events) {
    for (let first = 0; first < event.blocks.length; ) {
      if (room === 0) {
        parts.push([]);
        room = blocksPerPart;
      }
      const blocks = event.blocks.slice(first, first + room);
      const parentHash = first === 0 ? event.parentHash : event.blocks[first - 1]?.hash;
      parts.at(-1)?.push({ ...event, parentHash, blocks });
      first += blocks.length;
      room -= blocks.length;
    }
  }
  return parts;
}
