import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CacheReplay } from "../../../engine/testing/cache-replay.ts";
import { type KvSlot, KvSlots } from "./kv-slots.ts";

const blockSize = 2;

/** Runs a prompt through the book as the scheduler does, and answers what it took over. */
function run(slots: KvSlots, prompt: readonly number[], outputTokens: readonly number[] = []): number {
  const choice = slots.choose(prompt, prompt.length - 1);
  assert.ok(choice);
  slots.take(choice.slot, prompt, choice.length);
  slots.computed(choice.slot, [...prompt.slice(choice.length), ...outputTokens]);
  slots.release(choice.slot);
  return choice.length;
}

/** The chains of full blocks that a slot's tokens make, each named by all its tokens. */
function chainsOf(slot: KvSlot): string[] {
  const chains: string[] = [];
  for (let end = blockSize; end <= slot.tokens.length; end += blockSize)
    chains.push(slot.tokens.slice(0, end).join(","));
  return chains;
}

describe("KvSlots", () => {
  it("takes over the longest computed prefix and always leaves the last token to compute", () => {
    const slots = new KvSlots(2, blockSize);
    assert.equal(run(slots, [1, 2, 3, 4]), 0);
    assert.equal(run(slots, [1, 2, 3, 4]), 3);
    assert.equal(run(slots, [1, 2, 9]), 2);
  });

  it("copies from a running sequence instead of waiting for it", () => {
    const slots = new KvSlots(2, blockSize);
    const first = slots.choose([1, 2, 3], 2);
    assert.ok(first);
    slots.take(first.slot, [1, 2, 3], 0);
    slots.computed(first.slot, [1, 2, 3]);
    const second = slots.choose([1, 2, 3, 5], 3);
    assert.deepEqual([second?.slot.id, second?.source.id, second?.length], [1, 0, 3]);
  });

  it("keeps a long prefix whole while another slot's loss is smaller", () => {
    const slots = new KvSlots(2, blockSize);
    run(slots, [1, 2, 3, 4, 5, 6]);
    const choice = slots.choose([1, 2, 8], 2);
    assert.deepEqual([choice?.slot.id, choice?.source.id, choice?.length], [1, 0, 2]);
  });

  it("gives up the slot unused for longest when nothing fits", () => {
    const slots = new KvSlots(2, blockSize);
    run(slots, [1, 1]);
    run(slots, [2, 2]);
    run(slots, [1, 1]);
    assert.equal(slots.choose([3, 3], 1)?.slot.tokens[0], 2);
  });

  it("gives up a copy before the only one", () => {
    const slots = new KvSlots(3, blockSize);
    run(slots, [1, 1, 1, 1]);
    run(slots, [2, 2, 2, 2], [5, 5]);
    run(slots, [2, 2, 2, 2], [5, 5]);
    // The first is the oldest, but the other two hold the same.
    assert.equal(slots.choose([3, 3], 1)?.slot.tokens[0], 2);
  });

  it("has no choice when every slot is busy", () => {
    const slots = new KvSlots(1, blockSize);
    const choice = slots.choose([1], 0);
    assert.ok(choice);
    slots.take(choice.slot, [1], 0);
    assert.equal(slots.choose([1], 0), undefined);
    assert.equal(slots.free, 0);
  });

  it("tells a block once, whatever copies there are, and its removal with the last of them", () => {
    const slots = new KvSlots(2, blockSize);
    const first = slots.choose([1, 2, 3], 2);
    assert.ok(first);
    slots.take(first.slot, [1, 2, 3], 0);
    slots.computed(first.slot, [1, 2, 3]);
    const [stored, ...more] = slots.takeEvents();
    assert.ok(stored?.t === "stored" && more.length === 0);
    assert.deepEqual(stored.blocks[0]?.tokenIds, [1, 2]);
    run(slots, [1, 2, 9]);
    assert.deepEqual(slots.takeEvents(), []);
    slots.forget(first.slot);
    assert.deepEqual(slots.takeEvents(), []);
    run(slots, [7]);
    run(slots, [8, 8]);
    slots.release(first.slot);
    run(slots, [6, 6]);
    assert.ok(slots.takeEvents().some((event) => event.t === "removed" && event.hashes[0] === stored.blocks[0]?.hash));
  });

  it("offers nothing of a sequence whose beginning is gone, and tells that its blocks are", () => {
    const slots = new KvSlots(2, blockSize);
    run(slots, [1, 2, 3, 4]);
    const [slot] = slots.slots;
    assert.ok(slot);
    slots.loseBeginning(slot);
    assert.deepEqual(
      slots.takeEvents().map(({ t }) => t),
      ["stored", "removed"],
    );
    assert.equal(run(slots, [1, 2, 3, 4]), 0);
  });

  it("tells of nothing and takes nothing over once the model's cells cannot be shared", () => {
    const slots = new KvSlots(2, blockSize);
    run(slots, [1, 2, 3, 4]);
    slots.stopSharing();
    assert.deepEqual(slots.takeEvents(), [{ t: "cleared" }]);
    assert.equal(run(slots, [1, 2, 3, 4]), 0);
    assert.deepEqual(slots.takeEvents(), []);
  });

  it("claims only what the source has computed, and its events replayed are what lies in the slots", () => {
    const prompt = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 9 });
    const action = fc.oneof(
      { weight: 12, arbitrary: prompt.map((tokens) => ({ t: "prompt" as const, tokens })) },
      { weight: 3, arbitrary: fc.nat({ max: 3 }).map((slot) => ({ t: "forget" as const, slot })) },
      { weight: 3, arbitrary: fc.nat({ max: 3 }).map((slot) => ({ t: "lose" as const, slot })) },
      { weight: 1, arbitrary: fc.constant({ t: "clear" as const }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 40 }), (count, actions) => {
        const slots = new KvSlots(count, blockSize);
        const replay = new CacheReplay(blockSize);
        for (const did of actions) {
          if (did.t === "prompt") {
            const { tokens } = did;
            const choice = slots.choose(tokens, tokens.length - 1);
            assert.ok(choice && !choice.slot.busy && choice.length < tokens.length);
            assert.ok(choice.length === 0 || choice.source.shareable);
            assert.deepEqual(choice.source.tokens.slice(0, choice.length), tokens.slice(0, choice.length));
            slots.take(choice.slot, tokens, choice.length);
            slots.computed(choice.slot, tokens.slice(choice.length));
            // Some go on running: their slots stay busy until the others need them.
            if (tokens.length % 2 === 0 || slots.free === 0) for (const slot of slots.slots) slots.release(slot);
          } else if (did.t === "clear") {
            for (const slot of slots.slots) slots.release(slot);
            slots.clear();
          } else {
            const slot = slots.slots[did.slot % count];
            assert.ok(slot);
            if (did.t === "forget") slots.forget(slot);
            else slots.loseBeginning(slot);
          }
          for (const event of slots.takeEvents()) replay.apply(event);
          const held = slots.slots.filter(({ shareable }) => shareable).flatMap(chainsOf);
          assert.deepEqual(replay.chains().sort(), [...new Set(held)].sort());
        }
        for (const slot of slots.slots) slots.forget(slot);
        for (const event of slots.takeEvents()) replay.apply(event);
        assert.deepEqual(replay.chains(), []);
      }),
    );
  });
});
