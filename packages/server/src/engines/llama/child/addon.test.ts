import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { ChildSampling } from "../ipc.ts";
import type { AddonContext } from "./addon.ts";
import { loadAddon } from "./addon.ts";
import { readLogprobs } from "./logprobs.ts";
import { createGenerationContext, type LlamaModel, loadModel } from "./model.ts";
import { SamplingChain } from "./sampling-chain.ts";
import { greedyChildSampling } from "./testing/greedy-sampling.ts";

const options = {
  modelPath: fileURLToPath(new URL("../../../../../../models/demo/tiny-f16.gguf", import.meta.url)),
  maxModelLenTokens: 256,
  maxNumSeqs: 2,
  maxNumBatchedTokens: 64,
  threads: 1,
  vocabSize: 2048,
  isGeneration: true,
  kvBlockSizeTokens: 16,
};

// The engine stands on facts of an internal interface; each is held here, so that a new version of it shows.
describe("llama.cpp's addon", () => {
  let model: LlamaModel;
  let context: AddonContext;
  /** Where the last token of the prompt lies in the batch: its logits choose what is sampled below. */
  let position: number;
  let promptTokenIds: number[];

  before(async () => {
    const addon = await loadAddon(() => undefined);
    model = await loadModel(addon, options, options.vocabSize, () => undefined);
    context = await createGenerationContext(model, options);
    promptTokenIds = model.tokenize("Tell me");
    context.initBatch(promptTokenIds.length);
    const indexes = context.addToBatch(
      0,
      0,
      Uint32Array.from(promptTokenIds),
      Uint32Array.of(promptTokenIds.length - 1),
    );
    await context.decodeBatch();
    position = indexes[0] ?? -1;
  });

  function chain(sampling: Partial<ChildSampling>, index = 0): SamplingChain {
    return new SamplingChain({
      addon: model.addon,
      model: model.native,
      sampling: greedyChildSampling(sampling),
      index,
      promptTokenIds,
      grammar: sampling.gbnf === undefined ? undefined : model.grammarState(sampling.gbnf),
      endTokenIds: model.eosTokenIds,
      maxModelLenTokens: options.maxModelLenTokens,
    });
  }

  /** The tokens that this sampling picks at the position, one fresh chain for each seed. */
  async function picks(sampling: Partial<ChildSampling>, count: number): Promise<Map<number, number>> {
    const counts = new Map<number, number>();
    for (let seed = 0; seed < count; seed++) {
      const one = chain({ ...sampling, seed });
      const tokenId = await context.sampleToken(position, one.sampler);
      counts.set(tokenId, (counts.get(tokenId) ?? 0) + 1);
      one.dispose();
    }
    return counts;
  }

  async function distribution(): Promise<Map<number, number>> {
    const { top } = await readLogprobs(context, chain({}).unaltered, position, undefined, options.vocabSize);
    return new Map(top.tokenIds.map((tokenId, rank) => [tokenId, Math.exp(top.values[rank] ?? Number.NaN)]));
  }

  it("knows the model's end tokens", () => assert.deepEqual(model.eosTokenIds, [0, 2]));

  it("gives log probabilities of the whole vocabulary that add up to 1, best first", async () => {
    const probabilities = [...(await distribution()).values()];
    assert.equal(probabilities.length, options.vocabSize);
    assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1) < 1e-3);
    assert.deepEqual(
      probabilities,
      probabilities.toSorted((a, b) => b - a),
    );
  });

  it("reports the logprob of the token asked for, not of the best", async () => {
    const all = await distribution();
    const [, second] = [...all.keys()];
    const at = await readLogprobs(context, chain({}).unaltered, position, second, 0);
    assert.ok(Math.abs(at.tokenLogprob - Math.log(all.get(second ?? -1) ?? 0)) < 1e-4);
    assert.deepEqual(at.top.tokenIds, []);
  });

  it("samples in the model's proportions at temperature 1", async () => {
    const expected = await distribution();
    const [[best, probability] = [-1, 0]] = expected;
    const seen = (await picks({ temperature: 1 }, 600)).get(best) ?? 0;
    // Four standard deviations of a binomial.
    assert.ok(Math.abs(seen - 600 * probability) < 4 * Math.sqrt(600 * probability * (1 - probability)) + 1);
  });

  it("keeps to the top k, to the top p and to min p", async () => {
    const expected = [...(await distribution())];
    const first = (count: number) => new Set(expected.slice(0, count).map(([tokenId]) => tokenId));
    const inside = (seen: Map<number, number>, allowed: Set<number>) => [...seen.keys()].every((id) => allowed.has(id));
    assert.ok(inside(await picks({ temperature: 2, topK: 3 }, 60), first(3)));
    const massOf = (count: number) => expected.slice(0, count).reduce((sum, [, p]) => sum + p, 0);
    const nucleus = expected.findIndex((_, rank) => massOf(rank + 1) >= 0.5) + 1;
    assert.ok(inside(await picks({ temperature: 2, topP: 0.5 }, 60), first(nucleus)));
    const highest = expected[0]?.[1] ?? 0;
    // At temperature 2 a probability is, but for the norm, the square root of the one at 1.
    const kept = expected.filter(([, p]) => Math.sqrt(p / highest) >= 0.3).length;
    const seen = await picks({ temperature: 2, minP: 0.3 }, 200);
    assert.ok(inside(seen, first(kept)));
  });

  it("gives the same token for the same seed and shifts the seed by the output's index", async () => {
    const at = async (seed: number, index: number) =>
      context.sampleToken(position, chain({ temperature: 3, seed }, index).sampler);
    for (let seed = 0; seed < 20; seed++) assert.equal(await at(seed, 1), await at(seed + 1, 0));
    const different = new Set(await Promise.all(Array.from({ length: 20 }, (_, seed) => at(seed, 0))));
    assert.ok(different.size > 1);
  });

  it("bars the end tokens until min_tokens are out", async () => {
    const push = new Map([[2, 1000]]);
    const one = chain({ minTokens: 1, logitBias: push });
    const first = await context.sampleToken(position, one.sampler);
    assert.notEqual(first, 2);
    one.accept(first);
    assert.equal(await context.sampleToken(position, one.sampler), 2);
  });

  it("penalises presence in the output alone and repetition in the prompt too", async () => {
    const best = await context.sampleToken(position, chain({}).sampler);
    const present = chain({ presencePenalty: 2, frequencyPenalty: 2, logitBias: new Map([[best, 3]]) });
    assert.equal(await context.sampleToken(position, present.sampler), best);
    // The native sampler counts what it picks itself: after enough repeats another token leads.
    const seen = new Set<number>();
    for (let i = 0; i < 8; i++) seen.add(await context.sampleToken(position, present.sampler));
    assert.ok(seen.size > 1);
    const inPrompt = promptTokenIds[0] ?? 0;
    const lifted = new Map([[inPrompt, 30]]);
    assert.equal(await context.sampleToken(position, chain({ logitBias: lifted }).sampler), inPrompt);
    const repeated = chain({ logitBias: lifted, repetitionPenalty: 100 });
    assert.notEqual(await context.sampleToken(position, repeated.sampler), inPrompt);
  });

  it("follows the counts when repetition and presence are penalised together", async () => {
    const best = await context.sampleToken(position, chain({ repetitionPenalty: 1.01 }).sampler);
    const both = chain({ repetitionPenalty: 1.01, frequencyPenalty: 2, presencePenalty: 2 });
    const seen = new Set<number>();
    for (let i = 0; i < 12; i++) {
      const tokenId = await context.sampleToken(position, both.sampler);
      both.accept(tokenId);
      seen.add(tokenId);
    }
    assert.ok(seen.has(best) && seen.size > 1);
  });

  it("holds an output to its grammar", async () => {
    const constrained = chain({ gbnf: 'root ::= "7" "3"' });
    const text = [];
    for (let i = 0; i < 2; i++) {
      const tokenId = await context.sampleToken(position, constrained.sampler);
      text.push(new TextDecoder().decode(model.tokenBytes.of(tokenId)));
    }
    assert.equal(text.join(""), "73");
  });

  it("throws for a grammar that it cannot parse", () =>
    assert.throws(() => model.grammarState("root ::= ("), /cannot parse/));

  it("gives bytes of tokens that add up to the text, split characters too", () => {
    for (const text of ["Hello, world!", "naïve café", "🙂🙃 日本語", "a\n\tb  c", "<|im_start|>user"]) {
      const pieces = model.tokenize(text).map((tokenId) => model.tokenBytes.of(tokenId));
      assert.equal(Buffer.concat(pieces).toString("utf8"), text);
    }
  });
});
