import type { ReadyFacts } from "@tokenwire/engine-core";
import type { ModelFacts } from "../../engine/facts.ts";
import type { HuggingFaceModel } from "./model/read-model.ts";
import type { RankLimits } from "./rank-load.ts";

/** Where an engine of an old version does not say it: vLLM's default for most devices. */
const assumedMaxNumSeqs = 256;

/** The limits of one engine as it tells them. */
export function limitsOf(ready: ReadyFacts): RankLimits {
  const blocks = (ready.gpuBlocks ?? 0) * (ready.blockSizeTokens ?? 0);
  return {
    maxNumSeqs: ready.maxNumSeqs ?? assumedMaxNumSeqs,
    // An engine that tells nothing of its cache can hold one whole context at the least.
    kvCacheTokens: ready.kvCacheTokens ?? Math.max(blocks, ready.maxModelLenTokens),
  };
}

/** What the model's files and its engines say together; sums over the ranks where each has its own. */
export function modelFactsOf(
  model: HuggingFaceModel,
  engines: readonly ReadyFacts[],
  isGeneration: boolean,
): ModelFacts {
  const limits = engines.map(limitsOf);
  const sum = (of: (each: RankLimits) => number): number => limits.reduce((total, each) => total + of(each), 0);
  const ends = model.eosTokenId === undefined ? [] : [model.eosTokenId];
  return {
    modelPath: model.folder,
    tokenizerPath: model.folder,
    modelType: model.modelType,
    architectures: model.architectures,
    vocabSize: model.vocabSize,
    maxModelLenTokens: Math.min(...engines.map((engine) => engine.maxModelLenTokens)),
    eosTokenIds: [...ends, ...model.furtherEosTokenIds],
    bosTokenId: model.bosTokenId,
    padTokenId: model.padTokenId,
    isGeneration,
    defaultSampling: model.defaultSampling,
    maxNumSeqs: sum((each) => each.maxNumSeqs),
    kvCacheTokens: sum((each) => each.kvCacheTokens),
    // The engine does not tell; "auto" is vLLM's word for the model's own.
    kvCacheDtype: "auto",
    blockSizeTokens: engines[0]?.blockSizeTokens ?? 1,
    modelDtype: (engines[0]?.dtype ?? "").replace(/^torch\./, ""),
    dataParallelSize: engines.length,
  };
}
