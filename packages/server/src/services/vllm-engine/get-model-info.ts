import type { ModelFacts } from "../../engine/facts.ts";
import type { GetModelInfoRequest, GetModelInfoResponse } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import type { VllmEngineContext } from "./context.ts";

/** GetModelInfo: what the model is. UNAVAILABLE until the engine was ready once. */
export function getModelInfoHandler(
  context: VllmEngineContext,
): UnaryHandler<GetModelInfoRequest, GetModelInfoResponse> {
  return async () => {
    const facts = context.engine.facts();
    return {
      modelPath: facts.modelPath,
      isGeneration: facts.isGeneration,
      maxContextLength: facts.maxModelLenTokens,
      vocabSize: facts.vocabSize,
      supportsVision: false,
      servedModelName: context.servedModelName,
      tokenizerPath: facts.tokenizerPath,
      modelType: facts.modelType,
      architectures: [...facts.architectures],
      eosTokenIds: [...facts.eosTokenIds],
      padTokenId: facts.padTokenId ?? 0,
      bosTokenId: facts.bosTokenId ?? 0,
      maxReqInputLen: facts.maxModelLenTokens,
      defaultSamplingParamsJson: defaultSamplingJson(facts),
    };
  };
}

/** The names that the wire knows; a model's other recommendations stay here. */
const samplingNames = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"];

function defaultSamplingJson(facts: ModelFacts): string {
  const known = Object.entries(facts.defaultSampling).filter(([name]) => samplingNames.includes(name));
  return known.length === 0 ? "" : JSON.stringify(Object.fromEntries(known));
}
