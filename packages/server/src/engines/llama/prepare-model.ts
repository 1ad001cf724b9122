import type { ModelFacts } from "../../engine/facts.ts";
import { describeModel } from "./gguf/describe-model.ts";
import type { GgufHeader } from "./gguf/gguf-header.ts";
import { readGgufHeader } from "./gguf/read-gguf-header.ts";
import type { LlamaChildOptions, LoadedModel } from "./ipc.ts";
import { availableCores } from "./plan/available-cores.ts";
import { availableMemoryBytes } from "./plan/available-memory.ts";
import { planContext, type RequestedContext } from "./plan/plan-context.ts";

/** As vLLM's default on a GPU. Each sequence owns its cells one by one; blocks are how prefixes are found and told. */
const kvBlockSizeTokens = 16;

/** Everything about a model that is known before it is loaded, and the rule for what is known after. */
export interface LlamaBlueprint {
  readonly header: GgufHeader;
  readonly childOptions: LlamaChildOptions;
  /** Sentences for the log: what was reduced and which flag changes it. */
  readonly notes: readonly string[];
  readonly factsOf: (loaded: LoadedModel) => ModelFacts;
}

/**
 * Reads the model file's header and decides how the child loads it. Throws `failed-precondition` with a sentence when
 * the file is missing, broken or no model, or when the numbers asked for do not fit this machine.
 */
export async function prepareModel(
  options: RequestedContext & { readonly modelPath: string },
): Promise<LlamaBlueprint> {
  const header = await readGgufHeader(options.modelPath);
  const description = describeModel(header);
  const plan = planContext({
    description,
    requested: options,
    availableMemoryBytes: availableMemoryBytes(),
    availableCores: availableCores(),
  });
  const { maxModelLenTokens, maxNumSeqs } = plan.options;
  const { modelType, architectures, isGeneration, defaultSampling, modelDtype, padTokenId } = description;
  return {
    header,
    notes: plan.notes,
    childOptions: {
      modelPath: options.modelPath,
      vocabSize: description.vocabSize,
      isGeneration,
      kvBlockSizeTokens,
      ...plan.options,
    },
    factsOf: ({ vocabSize, eosTokenIds, bosTokenId }) => ({
      modelPath: options.modelPath,
      // Inside the model file: there is nothing that a client could read from a path.
      tokenizerPath: "",
      modelType,
      architectures,
      vocabSize,
      maxModelLenTokens,
      eosTokenIds,
      bosTokenId,
      padTokenId,
      isGeneration,
      defaultSampling,
      maxNumSeqs,
      kvCacheTokens: maxModelLenTokens * maxNumSeqs,
      kvCacheDtype: "float16",
      blockSizeTokens: kvBlockSizeTokens,
      modelDtype,
    }),
  };
}
