import assert from "node:assert/strict";
import type { KvBlock, KvCacheEvent } from "../kv-events.ts";

/** What a reader of KV events believes to be in the cache. Fails where the events break their contract. */
export class CacheReplay {
  readonly #blockSizeTokens: number;
  readonly #blocks = new Map<bigint, { readonly block: KvBlock; readonly parentHash: bigint | undefined }>();

  constructor(blockSizeTokens: number) {
    this.#blockSizeTokens = blockSizeTokens;
  }

  apply(event: KvCacheEvent): void {
    switch (event.t) {
      case "stored": {
        let { parentHash } = event;
        assert.ok(parentHash === undefined || this.#blocks.has(parentHash), "the parent is there");
        for (const block of event.blocks) {
          assert.ok(!this.#blocks.has(block.hash), "a block is stored once");
          assert.equal(block.tokenIds.length, this.#blockSizeTokens);
          this.#blocks.set(block.hash, { block, parentHash });
          parentHash = block.hash;
        }
        break;
      }
      case "removed":
        for (const hash of event.hashes) {
          assert.ok(this.#blocks.delete(hash), "a block that is removed was stored");
          for (const { parentHash } of this.#blocks.values()) assert.notEqual(parentHash, hash, "children go first");
        }
        break;
      case "cleared":
        this.#blocks.clear();
        break;
      case "gap":
        assert.fail("no event is lost here");
        break;
      default:
        event satisfies never;
    }
  }

  /** Every block as all the tokens up to its end, joined with commas. */
  chains(): string[] {
    return [...this.#blocks.keys()].map((hash) => this.#tokensTo(hash).join(","));
  }

  #tokensTo(hash: bigint): readonly number[] {
    const found = this.#blocks.get(hash);
    assert.ok(found !== undefined);
    const before = found.parentHash === undefined ? [] : this.#tokensTo(found.parentHash);
    return [...before, ...found.block.tokenIds];
  }
}
