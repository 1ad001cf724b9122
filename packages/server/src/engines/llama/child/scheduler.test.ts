import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RequestDelta, RequestFailure } from "../ipc.ts";
import type { AddonContext } from "./addon.ts";
import type { LlamaModel } from "./model.ts";
import { Scheduler } from "./scheduler.ts";
import { greedyChildSampling } from "./testing/greedy-sampling.ts";

/** A context that fails the passes it is told to: the one fault that a real one cannot be brought to. */
function failingContext(failsAt: ReadonlySet<number>) {
  let pass = 0;
  const context: Partial<AddonContext> = {
    initBatch: () => undefined,
    addToBatch: (_sequence, _first, tokens, positions) => positions.map(() => tokens.length - 1),
    decodeBatch: async () => {
      pass += 1;
      if (failsAt.has(pass)) throw new Error("the pass failed");
    },
    sampleToken: (async () => 9) as unknown as AddonContext["sampleToken"],
    disposeSequence: () => undefined,
    removeTokenCellsFromSequence: () => true,
    copySequenceStateFromOtherSequence: async () => 0,
    getSequenceKvCacheMinPosition: () => 0,
  };
  return context as AddonContext;
}

function schedulerOver(context: AddonContext) {
  class AddonSampler {
    applyConfig(): void {}
    dispose(): void {}
  }
  const model = { addon: { AddonSampler }, eosTokenIds: [], eosTokenIdSet: new Set<number>() } as unknown as LlamaModel;
  const ended = new Map<string, () => void>();
  const deltas: RequestDelta[] = [];
  const failures: RequestFailure[] = [];
  const scheduler = new Scheduler({
    model,
    context,
    maxNumSeqs: 2,
    maxNumBatchedTokens: 16,
    maxModelLenTokens: 64,
    kvBlockSizeTokens: 2,
    onStep: (newDeltas, newFailures) => {
      deltas.push(...newDeltas);
      failures.push(...newFailures);
      for (const { id } of newFailures) ended.get(id)?.();
      for (const { id, delta } of newDeltas) if (delta.finish !== undefined) ended.get(id)?.();
    },
  });
  const run = (id: string, sampling: Parameters<typeof greedyChildSampling>[0]) =>
    new Promise<void>((resolve) => {
      ended.set(id, resolve);
      scheduler.add(id, [1, 2, 3, 4], greedyChildSampling(sampling));
    });
  return { scheduler, deltas, failures, run };
}

describe("a forward pass that fails", () => {
  it("ends every request in it and takes nothing of their cells over", async () => {
    // Pass 1 computes the prompt for the first output, pass 2 goes on for both.
    const { scheduler, deltas, failures, run } = schedulerOver(failingContext(new Set([2])));
    await run("failed", { n: 2, temperature: 1 });
    assert.deepEqual(
      failures.map(({ id, error }) => [id, error.kind]),
      [["failed", "internal"]],
    );
    assert.deepEqual(
      [scheduler.counters().runningRequests, scheduler.counters().waitingRequests, scheduler.counters().usedKvTokens],
      [0, 0, 0],
    );
    for (const id of ["first", "second"]) await run(id, { maxTokens: 1 });
    const [first, second] = ["first", "second"].map(
      (id) => deltas.find((delta) => delta.id === id)?.delta.cachedTokens,
    );
    assert.equal(first, 0, "the failed pass left the cells undefined");
    assert.equal(second, 3);
  });
});
