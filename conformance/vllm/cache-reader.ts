import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js";
import type { EngineLoad, KvCacheEvent, KvEventBatch } from "../../packages/server/src/generated/common.ts";

interface Block {
  readonly tokenIds: readonly number[];
  readonly parentHash: bigint | undefined;
}

/** What a client of SubscribeKvEvents believes to be in the cache. Fails where the stream breaks its contract. */
export class CacheReader {
  readonly loads: EngineLoad[] = [];
  readonly #call: ClientReadableStream<KvEventBatch>;
  readonly #news = new EventEmitter();
  readonly #blocks = new Map<bigint, Block>();
  readonly #children = new Map<bigint | undefined, Map<string, bigint>>();
  #sequence: bigint | undefined;
  #unknownBefore = 0n;
  #removed = 0;
  #cleared = 0;
  #fault: unknown;
  #ended: ServiceError | undefined;

  constructor(call: ClientReadableStream<KvEventBatch>) {
    this.#call = call;
    call.on("data", (batch: KvEventBatch) => {
      try {
        this.#take(batch);
      } catch (thrown) {
        this.#fault ??= thrown;
      }
      this.#news.emit("news");
    });
    call.on("error", (error: ServiceError) => {
      this.#ended = error;
      this.#news.emit("news");
    });
  }

  get blocks(): number {
    return this.#blocks.size;
  }

  get removed(): number {
    return this.#removed;
  }

  get cleared(): number {
    return this.#cleared;
  }

  get unknownBefore(): bigint {
    return this.#unknownBefore;
  }

  get ended(): ServiceError | undefined {
    return this.#ended;
  }

  /** Tokens at the beginning of a prompt that the cache holds, in whole blocks. */
  prefixTokens(promptIds: readonly number[], blockSizeTokens: number): number {
    let parent: bigint | undefined;
    let known = 0;
    while (known + blockSizeTokens <= promptIds.length) {
      const tokens = promptIds.slice(known, known + blockSizeTokens).join(",");
      parent = this.#children.get(parent)?.get(tokens);
      if (parent === undefined) break;
      known += blockSizeTokens;
    }
    return known;
  }

  async until(condition: () => boolean, limitMs = 30_000): Promise<void> {
    const signal = AbortSignal.timeout(limitMs);
    try {
      while (this.#fault === undefined && !condition()) await once(this.#news, "news", { signal });
    } catch (thrown) {
      const end = this.#ended === undefined ? "" : `; it ended: ${this.#ended.message}`;
      throw new Error(`not told within ${limitMs} ms, at ${this.#blocks.size} blocks${end}`, { cause: thrown });
    }
    if (this.#fault !== undefined) throw this.#fault;
  }

  close(): void {
    this.#call.cancel();
  }

  #take(batch: KvEventBatch): void {
    const { sequenceNumber, snapshot, events, load } = batch;
    if (load !== undefined) this.loads.push(load);
    if (load?.loadOnly === true) return;
    const isFirstPart = snapshot !== undefined && snapshot.index === 0;
    if (this.#sequence !== undefined && !isFirstPart) assert.equal(sequenceNumber, this.#sequence + 1n);
    this.#sequence = sequenceNumber;
    if (snapshot !== undefined) this.#unknownBefore = snapshot.unknownBefore;
    for (const { data } of events) this.#apply(data);
  }

  #apply(data: KvCacheEvent["data"]): void {
    assert.ok(data !== undefined);
    switch (data.$case) {
      case "stored": {
        let parentHash = data.value.parentBlockHash;
        for (const { blockHash, tokenIds, blockSize } of data.value.blocks) {
          assert.ok(parentHash === undefined || this.#blocks.has(parentHash), "the parent is there");
          assert.ok(!this.#blocks.has(blockHash), "a block is stored once");
          assert.equal(tokenIds.length, blockSize);
          this.#blocks.set(blockHash, { tokenIds, parentHash });
          const siblings = this.#children.get(parentHash) ?? new Map<string, bigint>();
          this.#children.set(parentHash, siblings.set(tokenIds.join(","), blockHash));
          parentHash = blockHash;
        }
        return;
      }
      case "removed":
        for (const hash of data.value.blockHashes) {
          const block = this.#blocks.get(hash);
          assert.ok(block !== undefined, "a block that is removed was stored");
          assert.equal(this.#children.get(hash)?.size ?? 0, 0, "children go first");
          this.#blocks.delete(hash);
          this.#children.get(block.parentHash)?.delete(block.tokenIds.join(","));
          this.#removed += 1;
        }
        return;
      case "cleared":
        this.#blocks.clear();
        this.#children.clear();
        this.#cleared += 1;
        return;
    }
  }
}
