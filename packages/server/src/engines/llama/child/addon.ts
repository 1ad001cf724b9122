import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The part of llama.cpp's Node addon (`llama-addon.node` in `@node-llama-cpp/<platform>` 3.22.1) that the engine uses.
 *
 * It is an internal interface of node-llama-cpp (llama/addon/*.cpp, src/bindings/AddonTypes.ts at 3.22.1), so the
 * package is pinned exactly and `addon.test.ts` holds each fact that the engine builds on.
 */
export interface LlamaAddon {
  markLoaded(): boolean;
  setLogger(logger: (level: number, message: string) => void): void;
  setLoggerLogLevel(level: number): void;
  loadBackends(directory?: string): void;
  systemInfo(): string;
  init(): Promise<void>;
  readonly AddonModel: new (
    path: string,
    options: {
      addonExports: LlamaAddon;
      gpuLayers: number;
      useMmap: boolean;
      onLoadProgress?: (share: number) => void;
    },
  ) => AddonModel;
  readonly AddonContext: new (
    model: AddonModel,
    options: {
      /** Cells of all sequences together; each sequence owns an equal part. */
      contextSize: number;
      batchSize: number;
      sequences: number;
      threads: number;
      flashAttention: "auto";
      embeddings?: boolean;
    },
  ) => AddonContext;
  readonly AddonSampler: new (model: AddonModel) => AddonSampler;
  readonly AddonGrammar: new (gbnf: string, options: { addonExports: LlamaAddon; rootRuleName: string }) => object;
  readonly AddonGrammarEvaluationState: new (model: AddonModel, grammar: object) => GrammarState;
}

/** Where a generation stands in its grammar; opaque. */
export type GrammarState = object;

export interface AddonModel {
  /** False or a rejection when the file cannot be loaded. */
  init(): Promise<boolean>;
  dispose(): Promise<void>;
  /** `special` true reads control tokens in the text as such. */
  tokenize(text: string, special: boolean): Uint32Array;
  getTokenString(tokenId: number): string;
  /** Bits of llama.h's `llama_token_attr`. */
  getTokenAttributes(tokenId: number): number;
  /** llama.h's `llama_vocab_type`: 1 SPM, 2 BPE, 3 WPM, 4 UGM, 5 RWKV. */
  getVocabularyType(): number;
  isEogToken(tokenId: number): boolean;
  /** -1 when the model has none. */
  tokenBos(): number;
  shouldPrependBosToken(): boolean;
  getEmbeddingVectorSize(): number;
}

export interface AddonContext {
  init(): Promise<boolean>;
  dispose(): Promise<void>;
  initBatch(tokens: number): void;
  /** Answers the batch index of each position named in `logitIndexes` (positions within `tokens`, ascending). */
  addToBatch(sequence: number, firstPosition: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  /** One forward pass on a libuv thread. Cannot be interrupted. */
  decodeBatch(): Promise<void>;
  /** -1 when the sampler leaves no token. */
  sampleToken(batchIndex: number, sampler: AddonSampler): Promise<number>;
  sampleToken(
    batchIndex: number,
    sampler: AddonSampler,
    probabilities: false,
    confidence: false,
    logits: readonly [tokens: readonly number[], max: false, min: false, selected: boolean, top: number],
    sumExp: true,
  ): Promise<SampledWithLogits>;
  disposeSequence(sequence: number): void;
  /** `end` -1 means to the end. False when the cache cannot forget a part (recurrent models). */
  removeTokenCellsFromSequence(sequence: number, begin: number, end: number): boolean;
  /** The target's former content is replaced. */
  copySequenceStateFromOtherSequence(target: number, source: number): Promise<number>;
  getSequenceKvCacheMinPosition(sequence: number): number;
  getEmbedding(promptTokens: number): Float64Array;
}

/**
 * Token, then unused places, then pairs of token id and logit (the `top` best first, then the tokens asked for), then
 * the sum of exp(logit - highest logit) over the vocabulary. The logits are those after the sampler's chain.
 */
export type SampledWithLogits = [number, undefined, undefined, number[], number];

export interface SamplerConfig {
  /** 0 or less is greedy. */
  temperature: number;
  minP?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  repeatPenalty?: number;
  repeatPenaltyMaxTokens?: number;
  repeatPenaltyTokens?: Uint32Array;
  repeatPenaltyPresencePenalty?: number;
  repeatPenaltyFrequencyPenalty?: number;
  grammarEvaluationState?: GrammarState;
  tokenBiasKeys?: Uint32Array;
  tokenBiasValues?: Float32Array;
}

/** A sampler chain of llama.cpp: bias, penalties, top-k, top-p, min-p, temperature; the grammar stands beside it. */
export interface AddonSampler {
  applyConfig(config: SamplerConfig): void;
  dispose(): void;
}

/** The package that carries the addon for this platform, e.g. `@node-llama-cpp/linux-x64`. */
export function platformPackage(): string {
  return `@node-llama-cpp/${process.platform}-${process.arch}`;
}

/**
 * Loads the addon into this process. `onLog` gets llama.cpp's own lines of level error and worse. Throws when the
 * platform package is missing or its binary does not fit this system.
 */
export async function loadAddon(onLog: (message: string) => void): Promise<LlamaAddon> {
  const name = platformPackage();
  // The package's exports name only its entry, so its folder is found from there.
  const entry = fileURLToPath(import.meta.resolve(name));
  const directory = join(dirname(entry), "..", "bins", `${process.platform}-${process.arch}`);
  const addon = createRequire(import.meta.url)(join(directory, "llama-addon.node")) as LlamaAddon;
  addon.markLoaded();
  // Level 2 is GGML_LOG_LEVEL error in the addon's own scale.
  addon.setLoggerLogLevel(2);
  addon.setLogger((_level, message) => onLog(message.trimEnd()));
  addon.loadBackends();
  // Backends beside the binary are not found by themselves when the process was not started from there.
  if (addon.systemInfo() === "") addon.loadBackends(directory);
  await addon.init();
  return addon;
}
