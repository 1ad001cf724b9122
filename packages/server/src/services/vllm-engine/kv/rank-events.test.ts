import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KvBlock, KvCacheEvent } from "../../../engine/kv-events.ts";
import { CacheReplay } from "../../../engine/testing/cache-replay.ts";
import { RankEvents } from "./rank-events.ts";

const bounds = { mostBatches: 8, mostBlocks: 12, blocksPerPart: 3, mostCachedBlocks: 1_000 };

/** A tree of blocks: block i is below block parents[i], which is an earlier one. */
class Tree {
  readonly #parents: readonly (number | undefined)[];
  readonly #present = new Set<number>();

  constructor(parents: readonly (number | undefined)[]) {
    this.#parents = parents;
  }

  /** Puts a block in, or takes it out with all below it; answers the events. */
  toggle(i: number): KvCacheEvent[] {
    return this.#present.has(i) ? this.#remove(i) : this.#store(i);
  }

  clear(): KvCacheEvent[] {
    this.#present.clear();
    return [{ t: "cleared" }];
  }

  #store(i: number): KvCacheEvent[] {
    const parent = this.#parents[i];
    const before = parent === undefined || this.#present.has(parent) ? [] : this.#store(parent);
    this.#present.add(i);
    const parentHash = parent === undefined ? undefined : BigInt(parent);
    return [...before, { t: "stored", parentHash, blocks: [blockOf(i)] }];
  }

  #remove(i: number): KvCacheEvent[] {
    const below = [...this.#present]
      .filter((other) => this.#parents[other] === i)
      .flatMap((other) => this.#remove(other));
    this.#present.delete(i);
    return [...below, { t: "removed", hashes: [BigInt(i)] }];
  }
}

function blockOf(i: number): KvBlock {
  return { hash: BigInt(i), tokenIds: [i] };
}

/** A client that comes back now and then: from the history where it reaches, else from a snapshot. */
class Client {
  readonly replay = new CacheReplay(1);
  #sequence: number;

  constructor(base: number) {
    this.#sequence = base;
  }

  /** Answers true when it needed a snapshot. */
  catchUp(rank: RankEvents): boolean {
    if (!rank.reaches(this.#sequence)) {
      const snapshot = rank.snapshot();
      this.replay.apply({ t: "cleared" });
      for (const event of snapshot.parts.flat()) this.replay.apply(event);
      assert.equal(this.replay.chains().length, snapshot.blocks);
      assert.ok(snapshot.parts.every((part) => part.reduce((sum, { blocks }) => sum + blocks.length, 0) <= 3));
      this.#sequence = snapshot.sequence;
      return true;
    }
    for (let batch = rank.after(this.#sequence); batch !== undefined; batch = rank.after(this.#sequence)) {
      assert.equal(batch.sequence, this.#sequence + 1);
      for (const event of batch.events) this.replay.apply(event);
      this.#sequence = batch.sequence;
    }
    return false;
  }
}

describe("RankEvents", () => {
  it("brings a client that comes back at any time to what one knows that never left", () => {
    const parents = fc
      .array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 12 })
      .map((drawn) => drawn.map((parent, i) => (i === 0 || parent % 3 === 0 ? undefined : parent % i)));
    const action = fc.oneof(
      { weight: 10, arbitrary: fc.nat({ max: 100 }).map((i) => ({ t: "toggle" as const, i })) },
      { weight: 1, arbitrary: fc.constant({ t: "clear" as const }) },
      { weight: 3, arbitrary: fc.constant({ t: "return" as const }) },
    );
    fc.assert(
      fc.property(parents, fc.array(action, { maxLength: 60 }), (tree, actions) => {
        const rank = new RankEvents(0, 500, bounds);
        const model = new Tree(tree);
        const live = new Client(500);
        const returning = new Client(500);
        for (const did of actions) {
          if (did.t === "return") {
            returning.catchUp(rank);
            assert.deepEqual(returning.replay.chains().sort(), live.replay.chains().sort());
            continue;
          }
          rank.accept(did.t === "clear" ? model.clear() : model.toggle(did.i % tree.length), 1);
          // A batch larger than the whole history reaches nobody but by snapshot.
          live.catchUp(rank);
        }
      }),
    );
  });

  it("keeps no more history than its bounds", () => {
    const rank = new RankEvents(0, 0, bounds);
    for (let i = 0; i < 20; i++) rank.accept([{ t: "stored", parentHash: undefined, blocks: [blockOf(i)] }], 1);
    assert.equal(rank.after(11), undefined);
    assert.equal(rank.after(12)?.sequence, 13);
    assert.equal(rank.after(20), undefined);
    assert.ok(rank.reaches(20) && !rank.reaches(21));
  });

  it("does not believe in a cache without end", () => {
    const rank = new RankEvents(0, 0, { ...bounds, mostCachedBlocks: 3 });
    for (let i = 0; i < 4; i++) rank.accept([{ t: "stored", parentHash: undefined, blocks: [blockOf(i)] }], 1);
    assert.equal(rank.snapshot().blocks, 0);
    assert.equal(rank.snapshot().unknownBefore, 4);
    assert.deepEqual(rank.after(3)?.events, [{ t: "gap" }]);
  });
});
