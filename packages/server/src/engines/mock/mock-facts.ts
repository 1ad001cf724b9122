import type { ModelFacts } from "../../engine/facts.ts";
import { type MockModel, minVocabSize } from "./mock-script.ts";

/** Fills in what the script leaves open about the model. */
export function mockFacts(model: MockModel): ModelFacts {
  const maxModelLenTokens = model.maxModelLenTokens ?? 4096;
  const maxNumSeqs = model.maxNumSeqs ?? 8;
  return {
    modelPath: model.modelPath ?? "mock",
    tokenizerPath: "",
    modelType: "mock",
    architectures: ["MockForCausalLM"],
    vocabSize: model.vocabSize ?? minVocabSize,
    maxModelLenTokens,
    eosTokenIds: [257],
    bosTokenId: 256,
    padTokenId: 258,
    isGeneration: model.isGeneration ?? true,
    defaultSampling: {},
    maxNumSeqs,
    kvCacheTokens: maxNumSeqs * maxModelLenTokens,
    kvCacheDtype: "float32",
    blockSizeTokens: model.blockSizeTokens ?? 16,
    modelDtype: "float32",
  };
}
