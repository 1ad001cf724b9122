import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AddonContext, LlamaAddon } from "./addon.ts";
import { Embedder } from "./embedder.ts";

const options = {
  modelPath: "",
  maxModelLenTokens: 8,
  maxNumSeqs: 1,
  maxNumBatchedTokens: 4,
  threads: 1,
  vocabSize: 16,
  isGeneration: true,
  kvBlockSizeTokens: 16,
};
const prompt = (length: number) => new Uint32Array(length).fill(5);

/** An embedder over a context that waits for leave at each pass, and whose first `failingInits` makings fail. */
function scripted(failingInits = 0) {
  let inits = 0;
  const passes: { readonly tokens: number; readonly go: () => void }[] = [];
  let came: () => void = () => undefined;
  let tokens = 0;
  class AddonContextScript implements Partial<AddonContext> {
    init = async (): Promise<boolean> => ++inits > failingInits;
    disposeSequence = (): void => undefined;
    initBatch = (count: number): void => {
      tokens = count;
    };
    addToBatch = (): Uint32Array => new Uint32Array();
    decodeBatch = (): Promise<void> =>
      new Promise((go) => {
        passes.push({ tokens, go });
        came();
      });
    getEmbedding = (): Float64Array => Float64Array.of(3, 4);
  }
  const addon = { AddonContext: AddonContextScript } as unknown as LlamaAddon;
  const embedder = new Embedder({ addon, native: undefined as never }, options);
  const begun = async (index: number): Promise<void> => {
    while (passes.length <= index) {
      await new Promise<void>((resolve) => {
        came = resolve;
      });
    }
  };
  const pass = async (index: number): Promise<number> => {
    await begun(index);
    passes[index]?.go();
    return passes[index]?.tokens ?? 0;
  };
  return { embedder, begun, pass, passes };
}

describe("the embedder", () => {
  it("computes one prompt after the other, in parts of a step's size, and normalises", async () => {
    const { embedder, pass } = scripted();
    const both = Promise.all([embedder.embed("a", prompt(6)), embedder.embed("b", prompt(3))]);
    assert.deepEqual([await pass(0), await pass(1), await pass(2)], [4, 2, 3]);
    for (const vector of await both) assert.deepEqual(Array.from(vector), [Math.fround(0.6), Math.fround(0.8)]);
  });

  it("drops a prompt that is given up while it waits", async () => {
    const { embedder, pass, passes } = scripted();
    const first = embedder.embed("first", prompt(2));
    const waiting = embedder.embed("waiting", prompt(3));
    embedder.abort("waiting");
    await assert.rejects(waiting, /given up/);
    const last = embedder.embed("last", prompt(1));
    assert.deepEqual([await pass(0), await pass(1)], [2, 1]);
    await Promise.all([first, last]);
    assert.equal(passes.length, 2);
  });

  it("gives a prompt up between two passes and goes on with the next", async () => {
    const { embedder, begun, pass, passes } = scripted();
    const long = embedder.embed("long", prompt(8));
    const next = embedder.embed("next", prompt(1));
    await begun(0);
    embedder.abort("long");
    await assert.rejects(long, /given up/);
    assert.deepEqual([await pass(0), await pass(1)], [4, 1]);
    await next;
    assert.equal(passes.length, 2);
    embedder.abort("nobody");
  });

  it("tries again to make its context after it could not", async () => {
    const { embedder, pass } = scripted(1);
    await assert.rejects(embedder.embed("early", prompt(1)), /memory may be short/);
    const later = embedder.embed("later", prompt(1));
    await pass(0);
    assert.equal((await later).length, 2);
  });
});
