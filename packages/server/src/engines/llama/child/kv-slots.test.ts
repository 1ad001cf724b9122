import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KvSlots } from "./kv-slots.ts";

/** Runs a prompt through the book as the scheduler does, and answers what it took over. */
function run(slots: KvSlots, prompt: readonly number[], outputTokens: readonly number[] = []): number {
  const choice = slots.choose(prompt, prompt.length - 1);
  assert.ok(choice);
  slots.take(choice.slot, prompt, choice.length);
  choice.slot.tokens.push(...prompt.slice(choice.length), ...outputTokens);
  slots.release(choice.slot);
  return choice.length;
}

describe("KvSlots", () => {
  it("takes over the longest computed prefix and always leaves the last token to compute", () => {
    const slots = new KvSlots(2);
    assert.equal(run(slots, [1, 2, 3, 4]), 0);
    assert.equal(run(slots, [1, 2, 3, 4]), 3);
    assert.equal(run(slots, [1, 2, 9]), 2);
  });

  it("copies from a running sequence instead of waiting for it", () => {
    const slots = new KvSlots(2);
    const first = slots.choose([1, 2, 3], 2);
    assert.ok(first);
    slots.take(first.slot, [1, 2, 3], 0);
    first.slot.tokens.push(1, 2, 3);
    const second = slots.choose([1, 2, 3, 5], 3);
    assert.deepEqual([second?.slot.id, second?.source.id, second?.length], [1, 0, 3]);
  });

  it("keeps a long prefix whole while an empty slot is at hand", () => {
    const slots = new KvSlots(2);
    run(slots, [1, 2, 3, 4, 5, 6]);
    const choice = slots.choose([1, 2, 8], 2);
    assert.deepEqual([choice?.slot.id, choice?.source.id, choice?.length], [1, 0, 2]);
  });

  it("gives up the slot unused for longest when nothing fits", () => {
    const slots = new KvSlots(2);
    run(slots, [1, 1]);
    run(slots, [2, 2]);
    run(slots, [1, 1]);
    assert.equal(slots.choose([3, 3], 1)?.slot.tokens[0], 2);
  });

  it("has no choice when every slot is busy", () => {
    const slots = new KvSlots(1);
    const choice = slots.choose([1], 0);
    assert.ok(choice);
    slots.take(choice.slot, [1], 0);
    assert.equal(slots.choose([1], 0), undefined);
    assert.equal(slots.free, 0);
  });

  it("never claims a token that the source has not computed, over random histories", () => {
    const prompt = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(prompt, { maxLength: 30 }), (count, prompts) => {
        const slots = new KvSlots(count);
        for (const tokens of prompts) {
          const choice = slots.choose(tokens, tokens.length - 1);
          assert.ok(choice && !choice.slot.busy && choice.length < tokens.length);
          assert.deepEqual(choice.source.tokens.slice(0, choice.length), tokens.slice(0, choice.length));
          slots.take(choice.slot, tokens, choice.length);
          choice.slot.tokens.push(...tokens.slice(choice.length));
          // Some go on running: their slots stay busy until the others need them.
          if (tokens.length % 2 === 0 || slots.free === 0) for (const slot of slots.slots) slots.release(slot);
        }
      }),
    );
  });
});
