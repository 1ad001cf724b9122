import { EngineError } from "../../../engine/errors.ts";
import type { LlamaChildOptions, LoadedModel } from "../ipc.ts";
import type { AddonContext, AddonModel, GrammarState, LlamaAddon } from "./addon.ts";
import { TokenBytes } from "./token-bytes.ts";

/** A loaded model: llama.cpp's own object and what is read from it once. Freed with the process. */
export class LlamaModel {
  readonly addon: LlamaAddon;
  readonly native: AddonModel;
  readonly tokenBytes: TokenBytes;
  readonly eosTokenIds: readonly number[];
  readonly eosTokenIdSet: ReadonlySet<number>;
  readonly vocabSize: number;

  constructor(addon: LlamaAddon, native: AddonModel, vocabSize: number) {
    this.addon = addon;
    this.native = native;
    this.vocabSize = vocabSize;
    this.tokenBytes = new TokenBytes(native);
    const eos: number[] = [];
    for (let id = 0; id < vocabSize; id++) if (native.isEogToken(id)) eos.push(id);
    this.eosTokenIds = eos;
    this.eosTokenIdSet = new Set(eos);
  }

  facts(): LoadedModel {
    const bos = this.native.tokenBos();
    return { vocabSize: this.vocabSize, eosTokenIds: this.eosTokenIds, bosTokenId: bos < 0 ? undefined : bos };
  }

  /** Text to ids as Hugging Face tokenizers do by default: control tokens are read, BOS is added where the model wants it. */
  tokenize(text: string): number[] {
    const tokenIds = Array.from(this.native.tokenize(text, true));
    const bos = this.native.tokenBos();
    if (this.native.shouldPrependBosToken() && bos >= 0 && tokenIds[0] !== bos) tokenIds.unshift(bos);
    return tokenIds;
  }

  /** A fresh position at the start of a GBNF grammar. Throws `invalid-argument` when llama.cpp refuses it. */
  grammarState(gbnf: string): GrammarState {
    try {
      const grammar = new this.addon.AddonGrammar(gbnf, { addonExports: this.addon, rootRuleName: "root" });
      return new this.addon.AddonGrammarEvaluationState(this.native, grammar);
    } catch (thrown) {
      throw new EngineError("invalid-argument", "sampling_params.grammar: llama.cpp cannot parse the grammar", {
        field: "sampling_params.grammar",
        cause: thrown,
      });
    }
  }
}

/** Loads the model file. Throws `failed-precondition` when llama.cpp cannot. */
export async function loadModel(
  addon: LlamaAddon,
  options: LlamaChildOptions,
  vocabSize: number,
  onProgress: (share: number) => void,
): Promise<LlamaModel> {
  const native = new addon.AddonModel(options.modelPath, {
    addonExports: addon,
    gpuLayers: 0,
    useMmap: true,
    onLoadProgress: onProgress,
  });
  await orFail(native.init(), `llama.cpp cannot load ${options.modelPath}`);
  return new LlamaModel(addon, native, vocabSize);
}

/** Makes the context that generates: `maxNumSeqs` sequences with `maxModelLenTokens` cells each. */
export async function createGenerationContext(model: LlamaModel, options: LlamaChildOptions): Promise<AddonContext> {
  const context = new model.addon.AddonContext(model.native, {
    contextSize: options.maxModelLenTokens * options.maxNumSeqs,
    batchSize: options.maxNumBatchedTokens,
    sequences: options.maxNumSeqs,
    threads: options.threads,
    flashAttention: "auto",
  });
  const cells = `${options.maxNumSeqs} sequences of ${options.maxModelLenTokens} tokens`;
  await orFail(context.init(), `llama.cpp cannot make a context for ${cells}; lower --max-num-seqs or --max-model-len`);
  return context;
}

async function orFail(loading: Promise<boolean>, sentence: string): Promise<void> {
  try {
    if (await loading) return;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new EngineError("failed-precondition", `${sentence}: ${why}`, { cause: thrown });
  }
  throw new EngineError("failed-precondition", sentence);
}
