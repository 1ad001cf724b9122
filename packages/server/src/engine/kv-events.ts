/** One full block of the KV cache. */
export interface KvBlock {
  /** Signed 64 bits that name the block: its own tokens and all before them. Equal in a rank means the same content. */
  readonly hash: bigint;
  /** Exactly as many as the cache's block size. */
  readonly tokenIds: readonly number[];
}

/**
 * A change of one rank's prefix cache, told after it happened.
 *
 * A block is stored once and removed once, however many copies the engine holds, and its parent is there as long as it
 * is. Blocks that other requests cannot take over (another modality, a sliding window that has moved on) are not told.
 */
export type KvCacheEvent =
  /** `blocks` follow one another: the first one the block `parentHash` (undefined: it begins a prompt). */
  | {
      readonly t: "stored";
      readonly parentHash: bigint | undefined;
      readonly blocks: readonly KvBlock[];
      /** The adapter under which the blocks were computed; they serve no request without it. */
      readonly loraName?: string | undefined;
    }
  /** Children before their parents. */
  | { readonly t: "removed"; readonly hashes: readonly bigint[] }
  /** Nothing is left: the cache was flushed, or the engine that held it is gone. */
  | { readonly t: "cleared" }
  /** Events were lost on the way from the engine: what was told before may hold or not, what follows is true again. */
  | { readonly t: "gap" };

/** What one step changed in one rank's cache, in the order in which it happened. Never empty. */
export interface KvEventBatch {
  readonly dpRank: number;
  readonly events: readonly KvCacheEvent[];
}

export type KvEventListener = (batch: KvEventBatch) => void;

/**
 * Where an engine tells what its prefix caches hold. It keeps no history: whoever wants one listens from before
 * `Engine.start` on. Sequence numbers are the listener's affair too.
 */
export interface KvEventSource {
  /** Calls the listener synchronously for every batch from now on; answers a function that ends this. */
  onEvents(listener: KvEventListener): () => void;
}
