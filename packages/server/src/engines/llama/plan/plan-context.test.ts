import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { EngineError } from "../../../engine/errors.ts";
import { type LlamaPlan, type PlanInput, planContext, type RequestedContext } from "./plan-context.ts";

const mib = 1024 ** 2;
const gib = 1024 ** 3;

// The figures of an 8-billion-parameter model with a long context: 128 KiB of cache per token.
const large = { trainedContextTokens: 131_072, kvBytesPerToken: 131_072, parameterCount: 8_000_000_000 };
const tiny = { trainedContextTokens: 2_048, kvBytesPerToken: 2_048, parameterCount: 2_885_888 };

const plan = (requested: RequestedContext = {}, change: Partial<PlanInput> = {}): LlamaPlan =>
  planContext({ description: large, requested, availableMemoryBytes: 64 * gib, availableCores: 8, ...change });

const refuses = (run: () => unknown, sentence: RegExp): void => {
  assert.throws(run, (thrown) => {
    assert.ok(thrown instanceof EngineError);
    assert.equal(thrown.kind, "failed-precondition");
    assert.match(thrown.message, sentence);
    return true;
  });
};

describe("planContext", () => {
  it("keeps every default for a small model", () => {
    const { options, notes, kvCacheBytes } = plan({}, { description: tiny });
    assert.deepEqual(options, { maxModelLenTokens: 2_048, maxNumSeqs: 32, maxNumBatchedTokens: 512, threads: 1 });
    assert.equal(kvCacheBytes, 128 * mib);
    assert.deepEqual(notes, []);
  });

  it("sets aside a quarter of the memory for the cache, 4 GiB at most", () => {
    assert.equal(plan({}).kvCacheBudgetBytes, 4 * gib);
    assert.equal(plan({}, { availableMemoryBytes: 8 * gib }).kvCacheBudgetBytes, 2 * gib);
    assert.equal(plan({ kvCacheMemoryBytes: 20 * gib }).kvCacheBudgetBytes, 20 * gib);
  });

  it("gives up sequences first, down to 4", () => {
    const description = { ...large, trainedContextTokens: 8_192 };
    const { options, notes } = plan({ kvCacheMemoryBytes: 10 * gib }, { description });
    assert.equal(options.maxNumSeqs, 10);
    assert.equal(options.maxModelLenTokens, 8_192);
    assert.equal(notes.length, 1);
    assert.match(notes[0] ?? "", /10 sequences at once instead of 32.*10 GiB.*--max-num-seqs/);
  });

  it("then shortens the context, with a note for each reduction", () => {
    const { options, notes } = plan();
    assert.deepEqual([options.maxNumSeqs, options.maxModelLenTokens], [4, 8_192]);
    assert.match(notes[0] ?? "", /4 sequences/);
    assert.match(notes[1] ?? "", /contexts of 8192 tokens instead of the trained 131072.*4 GiB.*--max-model-len/);
  });

  it("then gives up the last sequences, and the rest of the context at the very end", () => {
    const few = plan({ kvCacheMemoryBytes: 1.5 * gib }).options;
    assert.deepEqual([few.maxNumSeqs, few.maxModelLenTokens], [3, 4_096]);
    const least = plan({ kvCacheMemoryBytes: 100 * mib }).options;
    assert.deepEqual([least.maxNumSeqs, least.maxModelLenTokens], [1, 768]);
  });

  it("never reduces a context length that was asked for", () => {
    const { options, notes } = plan({ maxModelLenTokens: 16_384 });
    assert.deepEqual([options.maxNumSeqs, options.maxModelLenTokens], [2, 16_384]);
    assert.equal(notes.length, 1);
    refuses(
      () => plan({ maxModelLenTokens: 131_072 }),
      /131072 tokens for 1 sequence needs 17179869184 bytes \(16 GiB\).*4 GiB.*--kv-cache-memory-bytes/,
    );
  });

  it("never reduces a number of sequences that was asked for", () => {
    const { options } = plan({ maxNumSeqs: 64 });
    assert.deepEqual([options.maxNumSeqs, options.maxModelLenTokens], [64, 512]);
    refuses(() => plan({ maxNumSeqs: 256 }), /256 tokens for 256 sequences needs/);
    refuses(() => plan({ maxNumSeqs: 8, maxModelLenTokens: 8_192 }), /8192 tokens for 8 sequences needs/);
  });

  it("counts the cells that llama.cpp rounds up to", () => {
    const { kvCacheBytes } = plan({ maxModelLenTokens: 257, maxNumSeqs: 2 });
    assert.equal(kvCacheBytes, 512 * 2 * 131_072);
    refuses(
      () => plan({ maxModelLenTokens: 257, maxNumSeqs: 2, kvCacheMemoryBytes: 2 * 257 * 131_072 }),
      /257 tokens for 2/,
    );
  });

  it("refuses a context longer than the trained one, naming both", () => {
    refuses(() => plan({ maxModelLenTokens: 4_096 }, { description: tiny }), /--max-model-len 4096.*2048 tokens/);
  });

  it("refuses a cache larger than the available memory", () => {
    refuses(() => plan({ kvCacheMemoryBytes: 65 * gib }), /65 GiB.*64 GiB/);
  });

  it("refuses numbers out of range, naming flag and range", () => {
    refuses(() => plan({ maxNumSeqs: 257 }), /--max-num-seqs is 257.*1 to 256/);
    refuses(() => plan({ maxNumSeqs: 0 }), /--max-num-seqs is 0/);
    refuses(() => plan({ maxModelLenTokens: 0 }), /--max-model-len is 0/);
    refuses(() => plan({ maxModelLenTokens: 1.5 }), /--max-model-len is 1.5/);
    refuses(() => plan({ threads: 0 }), /--threads is 0.*1 to 1024/);
    refuses(() => plan({ kvCacheMemoryBytes: -1 }), /--kv-cache-memory-bytes is -1/);
    refuses(() => plan({ maxNumBatchedTokens: 100_000 }), /--max-num-batched-tokens is 100000/);
  });

  it("gives every sequence a token in each step", () => {
    assert.equal(plan({ maxNumBatchedTokens: 32 }, { description: tiny }).options.maxNumBatchedTokens, 32);
    refuses(() => plan({ maxNumBatchedTokens: 31 }, { description: tiny }), /31 is less than the 32 sequences/);
  });

  it("leaves one core free for a large model and uses one thread for a small one", () => {
    assert.equal(plan().options.threads, 7);
    assert.equal(plan({}, { availableCores: 1 }).options.threads, 1);
    assert.equal(plan({}, { description: { ...large, parameterCount: 99_999_999 } }).options.threads, 1);
    assert.equal(plan({}, { description: { ...large, parameterCount: 100_000_000 } }).options.threads, 7);
  });

  it("keeps more threads than cores when asked, and says what that costs", () => {
    const { options, notes } = plan({ threads: 9 }, { description: tiny });
    assert.equal(options.threads, 9);
    assert.match(notes[0] ?? "", /9 threads on 8 available cores/);
  });

  it("runs models without a cache", () => {
    const description = { ...large, kvBytesPerToken: 0 };
    const { options, kvCacheBytes } = plan({}, { description, availableMemoryBytes: 1_000 });
    assert.deepEqual([options.maxNumSeqs, options.maxModelLenTokens, kvCacheBytes], [32, 131_072, 0]);
  });

  it("always fits its budget, keeps what was asked, and is never zero, or refuses", () => {
    const optional = (least: number, most: number): fc.Arbitrary<number | undefined> =>
      fc.option(fc.integer({ min: least, max: most }), { nil: undefined });
    const inputs = fc.record({
      description: fc.record({
        trainedContextTokens: fc.integer({ min: 1, max: 2_000_000 }),
        kvBytesPerToken: fc.integer({ min: 0, max: 2_000_000 }),
        parameterCount: fc.integer({ min: 0, max: 1_000_000_000 }),
      }),
      requested: fc.record({
        maxModelLenTokens: optional(1, 200_000),
        maxNumSeqs: optional(1, 256),
        maxNumBatchedTokens: optional(1, 4_096),
        threads: optional(1, 64),
        kvCacheMemoryBytes: optional(1, 100 * gib),
      }),
      availableMemoryBytes: fc.integer({ min: 0, max: 100 * gib }),
      availableCores: fc.integer({ min: 1, max: 128 }),
    });
    let planned = 0;
    fc.assert(
      fc.property(inputs, (input) => {
        let result: LlamaPlan;
        try {
          result = planContext(input);
        } catch (thrown) {
          assert.ok(thrown instanceof EngineError && thrown.kind === "failed-precondition");
          return;
        }
        planned++;
        const { options, kvCacheBytes, kvCacheBudgetBytes } = result;
        const cells = Math.ceil(options.maxModelLenTokens / 256) * 256 * options.maxNumSeqs;
        assert.equal(kvCacheBytes, cells * input.description.kvBytesPerToken);
        assert.ok(kvCacheBytes <= kvCacheBudgetBytes);
        assert.ok(kvCacheBudgetBytes <= input.availableMemoryBytes);
        for (const value of Object.values(options)) assert.ok(Number.isSafeInteger(value) && value >= 1);
        assert.ok(options.maxModelLenTokens <= input.description.trainedContextTokens);
        assert.ok(options.maxNumSeqs <= 256);
        assert.ok(options.maxNumBatchedTokens >= options.maxNumSeqs);
        for (const key of ["maxModelLenTokens", "maxNumSeqs", "maxNumBatchedTokens", "threads"] as const) {
          assert.equal(options[key], input.requested[key] ?? options[key]);
        }
        assert.ok(input.requested.threads !== undefined || options.threads <= input.availableCores);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(planned > 300, `${planned} of the inputs could be planned`);
  });
});
