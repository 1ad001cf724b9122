import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EngineKvEvent } from "@tokenwire/engine-core";
import fc from "fast-check";
import type { KvCacheEvent } from "../../../engine/kv-events.ts";
import { CacheReplay } from "../../../engine/testing/cache-replay.ts";
import { RankBlocks } from "./rank-blocks.ts";

type Stored = EngineKvEvent & { readonly t: "stored" };

/** Blocks of two tokens, whose hashes are given. */
function stored(parent: number | undefined, hashes: readonly number[], changes: Partial<Stored> = {}): Stored {
  return {
    t: "stored",
    blockHashes: hashes.map(BigInt),
    parentBlockHash: parent === undefined ? undefined : BigInt(parent),
    tokenIds: hashes.flatMap((hash) => [hash, hash + 1]),
    blockSizeTokens: 2,
    medium: "GPU",
    loraName: undefined,
    extraKeys: hashes.map(() => undefined),
    groupIndex: 0,
    specKind: "full_attention",
    ...changes,
  };
}

function removed(hashes: readonly number[], changes: { medium?: string; groupIndex?: number } = {}): EngineKvEvent {
  return { t: "removed", blockHashes: hashes.map(BigInt), medium: "GPU", groupIndex: 0, ...changes };
}

/** The events in short: `+parent:hash,hash`, `-hash,hash`. */
function brief(events: readonly KvCacheEvent[]): string {
  return events
    .map((event) => {
      if (event.t === "removed") return `-${event.hashes.join(",")}`;
      if (event.t !== "stored") return event.t;
      return `+${event.parentHash ?? ""}:${event.blocks.map(({ hash }) => hash).join(",")}`;
    })
    .join(" ");
}

describe("the blocks of a rank", () => {
  it("are told with their tokens", () => {
    const blocks = new RankBlocks();
    assert.deepEqual(blocks.apply([stored(undefined, [10, 20], { loraName: "a", extraKeys: [["a"], ["a"]] })]), [
      {
        t: "stored",
        parentHash: undefined,
        loraName: "a",
        blocks: [
          { hash: 10n, tokenIds: [10, 11] },
          { hash: 20n, tokenIds: [20, 21] },
        ],
      },
    ]);
    assert.equal(brief(blocks.apply([stored(20, [30])])), "+20:30");
  });

  it("are told once, whatever their copies", () => {
    const blocks = new RankBlocks();
    assert.equal(brief(blocks.apply([stored(undefined, [1, 2]), stored(undefined, [1, 2, 3])])), "+:1,2,3");
    assert.equal(brief(blocks.apply([removed([3]), removed([2]), removed([1])])), "-3");
    assert.equal(brief(blocks.apply([removed([2]), removed([1])])), "-2,1");
  });

  it("go with the block before them, and come back with it", () => {
    const blocks = new RankBlocks();
    blocks.apply([stored(undefined, [1, 2, 3]), stored(2, [4])]);
    assert.equal(brief(blocks.apply([removed([2])])), "-4,3,2");
    assert.equal(brief(blocks.apply([removed([4])])), "");
    assert.equal(brief(blocks.apply([stored(1, [2])])), "+1:2,3");
  });

  it("are cleared, and what is removed afterwards was nobody's", () => {
    const blocks = new RankBlocks();
    blocks.apply([stored(undefined, [1])]);
    assert.equal(brief(blocks.apply([{ t: "cleared" }, removed([1]), stored(undefined, [2])])), "cleared +:2");
  });

  it("of which the beginning is not known wait for it", () => {
    const blocks = new RankBlocks();
    assert.equal(brief(blocks.apply([stored(1, [2, 3])])), "");
    assert.equal(brief(blocks.apply([stored(undefined, [1])])), "+:1,2,3");
  });

  it("are not told where they serve no other request", () => {
    const blocks = new RankBlocks();
    const salted = stored(undefined, [1, 2], { extraKeys: [["salt"], undefined] });
    assert.equal(brief(blocks.apply([salted, stored(2, [3])])), "");
    const image = stored(undefined, [5, 6], { extraKeys: [undefined, [["picture", 0]]] });
    assert.equal(brief(blocks.apply([image])), "+:5");
  });

  it("are those of the first group that keeps whole prefixes, in the engine's own memory", () => {
    const blocks = new RankBlocks();
    const sliding = stored(undefined, [1], { groupIndex: 0, specKind: "sliding_window" });
    const whole = stored(undefined, [1], { groupIndex: 1 });
    const other = stored(undefined, [1], { groupIndex: 2 });
    const offloaded = stored(undefined, [7], { groupIndex: 1, medium: "CPU" });
    const part = stored(1, [9], { groupIndex: 1, blockSizeTokens: 1, tokenIds: [9] });
    assert.equal(brief(blocks.apply([sliding, whole, other, offloaded, part])), "+:1");
    assert.equal(brief(blocks.apply([removed([1]), removed([1], { groupIndex: 2 })])), "");
    assert.equal(brief(blocks.apply([removed([1], { groupIndex: 1, medium: "CPU" })])), "");
    assert.equal(brief(blocks.apply([removed([1], { groupIndex: 1 })])), "-1");
  });

  it("beyond what can be held are a gap", () => {
    const blocks = new RankBlocks(2);
    assert.equal(brief(blocks.apply([stored(undefined, [1, 2, 3])])), "gap");
    assert.equal(brief(blocks.apply([stored(undefined, [1])])), "+:1");
  });

  it("keep the contract and hold what the engine can use, whatever it stores and gives up", () => {
    // A prompt is a path through a tree with two ways at each node; a block's hash says its path.
    const step = fc.oneof(
      fc.record({ store: fc.array(fc.nat(1), { minLength: 1, maxLength: 4 }), from: fc.nat(3) }),
      fc.record({ remove: fc.nat(30) }),
      fc.record({ clear: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const blocks = new RankBlocks();
        const replay = new CacheReplay(2);
        const copies = new Map<number, number>();
        const take = (event: EngineKvEvent): void => {
          for (const news of blocks.apply([event])) replay.apply(news);
        };
        for (const each of steps) {
          if ("store" in each) {
            const path = each.store.map((_, depth) =>
              each.store.slice(0, depth + 1).reduce((at, way) => 2 * at + way, 1),
            );
            const from = Math.min(each.from, path.length - 1);
            const hashes = path.slice(from);
            for (const hash of hashes) copies.set(hash, (copies.get(hash) ?? 0) + 1);
            take(stored(path[from - 1], hashes));
          } else if ("remove" in each) {
            const count = copies.get(each.remove) ?? 0;
            if (count === 0) continue;
            copies.set(each.remove, count - 1);
            take(removed([each.remove]));
          } else {
            copies.clear();
            take({ t: "cleared" });
          }
        }
        const isHeld = (hash: number): boolean => (copies.get(hash) ?? 0) > 0;
        const isUsable = (hash: number): boolean => isHeld(hash) && (hash < 4 || isUsable(hash >> 1));
        const usable = [...copies.keys()].filter(isUsable);
        assert.deepEqual(
          replay
            .chains()
            .map((chain) => Number(chain.split(",").at(-2)))
            .sort((a, b) => a - b),
          usable.sort((a, b) => a - b),
        );
      }),
    );
  });
});
