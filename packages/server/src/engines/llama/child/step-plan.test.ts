import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChildSampling } from "../ipc.ts";
import { type ChildRequest, finishOf, OutputSequence } from "./output-sequence.ts";
import { planStep } from "./step-plan.ts";
import { greedyChildSampling } from "./testing/greedy-sampling.ts";

/** A sequence with this many prompt tokens, of which some are computed, and then some output. */
function sequence(
  prompt: number,
  computed: number,
  output: readonly number[] = [],
  sampling: Partial<ChildSampling> = {},
): OutputSequence {
  const outputs: OutputSequence[] = [];
  const promptTokenIds = Array.from({ length: prompt }, (_, i) => i);
  const request: ChildRequest = { id: "r", promptTokenIds, sampling: greedyChildSampling(sampling), outputs };
  const made = new OutputSequence(request, 0);
  outputs.push(made);
  made.tokens.push(...output);
  const slot = { id: 0, tokens: made.tokens.slice(0, computed), busy: true, lastUse: 0 };
  // The plan looks at the slot alone.
  made.parts = { slot } as unknown as NonNullable<OutputSequence["parts"]>;
  return made;
}

describe("planStep", () => {
  it("gives every decoding sequence its token before any prompt", () => {
    const shares = planStep([sequence(10, 0), sequence(3, 3, [7]), sequence(3, 4, [7, 8])], 5);
    assert.deepEqual(
      shares.map(({ first, tokens, samples }) => [first, [...tokens], samples]),
      [
        [3, [7], true],
        [4, [8], true],
        [0, [0, 1, 2], false],
      ],
    );
  });

  it("cuts prompts to the budget, first come first served", () => {
    const shares = planStep([sequence(4, 0), sequence(4, 0)], 6);
    assert.deepEqual(
      shares.map(({ tokens, samples }) => [tokens.length, samples]),
      [
        [4, true],
        [2, false],
      ],
    );
  });

  it("goes on where the last chunk ended", () => {
    const [share] = planStep([sequence(10, 6)], 100);
    assert.deepEqual([share?.first, share?.tokens.length, share?.samples], [6, 4, true]);
  });
});

describe("finishOf", () => {
  const eos = new Set([99]);
  const finish = (output: readonly number[], sampling: Partial<ChildSampling>, text?: string) =>
    finishOf(sequence(3, 3, output, sampling), eos, text, 10);

  it("ends at EOS without a match", () => assert.deepEqual(finish([99], {}), { reason: "stop" }));
  it("goes on over EOS when it is ignored", () => assert.equal(finish([99], { ignoreEos: true }), undefined));
  it("ends a finished grammar even where EOS is ignored", () =>
    assert.deepEqual(finish([99], { ignoreEos: true, gbnf: 'root ::= "a"' }), { reason: "stop" }));
  it("names the stop token that ended it", () =>
    assert.deepEqual(finish([5], { stopTokenIds: [5] }), { reason: "stop", matched: { tokenId: 5 } }));
  it("names the stop string that ended it", () =>
    assert.deepEqual(finish([5], {}, "END"), { reason: "stop", matched: { text: "END" } }));
  it("stops for nothing before min_tokens", () =>
    assert.equal(finish([5], { stopTokenIds: [5], minTokens: 2 }, "END"), undefined));
  it("ends at max_tokens", () => assert.deepEqual(finish([5, 6], { maxTokens: 2 }), { reason: "length" }));
  it("ends where the context is full", () => assert.deepEqual(finish([1, 2, 3, 4, 5, 6, 7], {}), { reason: "length" }));
});
