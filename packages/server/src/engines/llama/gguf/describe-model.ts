import { EngineError } from "../../../engine/errors.ts";
import { architectureNames, embeddingArchitectures, unservableArchitectures } from "./architectures.ts";
import {
  badMetadata,
  type GgufHeader,
  getBoolean,
  getCount,
  getNumber,
  getNumberArray,
  getString,
  getStringArray,
} from "./gguf-header.ts";
import { modelDtype } from "./model-dtype.ts";
import { readSpecialTokens, type SpecialTokens } from "./special-tokens.ts";

/** How an embedding is made from the vectors of all tokens. Source: `PoolingType` in `gguf-py/gguf/constants.py`. */
export const poolingTypes = ["none", "mean", "cls", "last", "rank"] as const;
export type PoolingType = (typeof poolingTypes)[number];

/** What a model's file says of the model. */
export interface ModelDescription extends SpecialTokens {
  /** `general.architecture`, e.g. `llama`. */
  readonly modelType: string;
  /** Hugging Face class names, e.g. `["LlamaForCausalLM"]`. */
  readonly architectures: readonly string[];
  readonly vocabSize: number;
  readonly trainedContextTokens: number;
  /** Length of a token's vector, and of an embedding. */
  readonly embeddingLength: number;
  readonly layers: number;
  /** Key and value heads of each layer; 0 in layers without attention. */
  readonly kvHeads: readonly number[];
  readonly keyLength: number;
  readonly valueLength: number;
  /** Bytes that one token takes in a KV cache of f16. An upper bound for models with a sliding window. */
  readonly kvBytesPerToken: number;
  readonly parameterCount: number;
  /** e.g. `float16`, `q4_k_m`. */
  readonly modelDtype: string;
  /** Jinja source; undefined for a base model. */
  readonly chatTemplate: string | undefined;
  readonly isGeneration: boolean;
  /** undefined when the file says nothing. */
  readonly poolingType: PoolingType | undefined;
  /** Sampling that the author recommends, by the names of generation_config.json; empty when none. */
  readonly defaultSampling: Readonly<Record<string, number>>;
}

/** `general.sampling.*` to the names of generation_config.json. Source: `Keys.General` in `gguf-py/gguf/constants.py`. */
const samplingKeys = {
  temp: "temperature",
  top_p: "top_p",
  top_k: "top_k",
  min_p: "min_p",
  penalty_repeat: "repetition_penalty",
} as const;

const f16Bytes = 2;
/** llama.cpp holds 512 at most (`LLAMA_MAX_LAYERS`). */
const maxLayers = 1_024;

/**
 * Tells what the model in a GGUF file is. Throws an EngineError of kind failed-precondition when the file holds
 * something else (an adapter, a projector, a vocabulary alone), or when metadata that llama.cpp needs is missing or makes
 * no sense.
 */
export function describeModel(header: GgufHeader): ModelDescription {
  const modelType = servableArchitecture(header);
  const need = (key: string): number => {
    const value = getCount(header, `${modelType}.${key}`);
    if (value === undefined || value === 0) throw badMetadata(header, `${modelType}.${key} is missing or 0`);
    return value;
  };
  const layers = need("block_count");
  if (layers > maxLayers) throw badMetadata(header, `${modelType}.block_count is ${layers}`);
  const embeddingLength = need("embedding_length");
  const heads = perLayer(header, `${modelType}.attention.head_count`, layers) ?? Array<number>(layers).fill(0);
  const kvHeads = perLayer(header, `${modelType}.attention.head_count_kv`, layers) ?? heads;
  const headLength = Math.floor(embeddingLength / Math.max(1, ...heads));
  const keyLength = getCount(header, `${modelType}.attention.key_length`) ?? headLength;
  const valueLength = getCount(header, `${modelType}.attention.value_length`) ?? headLength;
  const kvHeadsOfAllLayers = kvHeads.reduce((sum, count) => sum + count, 0);
  const kvBytesPerToken = kvHeadsOfAllLayers * (keyLength + valueLength) * f16Bytes;
  if (!Number.isSafeInteger(kvBytesPerToken)) throw badMetadata(header, "its attention heads are too many or too long");
  const vocabSize =
    getStringArray(header, "tokenizer.ggml.tokens")?.length ?? getCount(header, `${modelType}.vocab_size`) ?? 0;
  const poolingType = readPoolingType(header, modelType);
  return {
    ...readSpecialTokens(header),
    modelType,
    architectures: [architectureNames(modelType).className],
    vocabSize,
    trainedContextTokens: need("context_length"),
    embeddingLength,
    layers,
    kvHeads,
    keyLength,
    valueLength,
    kvBytesPerToken,
    parameterCount: countParameters(header),
    modelDtype: modelDtype(header),
    chatTemplate: getString(header, "tokenizer.chat_template"),
    isGeneration:
      !embeddingArchitectures.has(modelType) &&
      getBoolean(header, `${modelType}.attention.causal`) !== false &&
      (poolingType === undefined || poolingType === "none"),
    poolingType,
    defaultSampling: readDefaultSampling(header),
  };
}

function servableArchitecture(header: GgufHeader): string {
  const refused = (fault: string): EngineError =>
    new EngineError("failed-precondition", `${header.path} cannot be used as a model: ${fault}.`);
  const type = getString(header, "general.type") ?? "model";
  if (type === "adapter") throw refused("it is a LoRA adapter; name the file of the model that it was made for");
  if (type !== "model") throw refused(`it holds a GGUF of type ${JSON.stringify(type.slice(0, 80))}; name a model`);
  const architecture = getString(header, "general.architecture");
  if (architecture === undefined || architecture === "") throw badMetadata(header, "general.architecture is missing");
  const reason = Object.hasOwn(unservableArchitectures, architecture)
    ? unservableArchitectures[architecture]
    : undefined;
  if (reason !== undefined) throw refused(reason);
  if (header.tensors.length === 0) throw refused("it holds a vocabulary and no weights; name a file with weights");
  return architecture;
}

/** A value that models give either once for all layers or layer by layer. */
function perLayer(header: GgufHeader, key: string, layers: number): readonly number[] | undefined {
  if (header.metadata.get(key)?.type !== "array") {
    const value = getCount(header, key);
    return value === undefined ? undefined : Array<number>(layers).fill(value);
  }
  const values = Array.from(getNumberArray(header, key) ?? []).slice(0, layers);
  if (values.length < layers || values.some((value) => !Number.isSafeInteger(value) || value < 0)) {
    throw badMetadata(header, `${key} does not give a count for each of ${layers} layers`);
  }
  return values;
}

function countParameters(header: GgufHeader): number {
  let count = 0;
  for (const { dimensions } of header.tensors)
    count += dimensions.reduce((product, dimension) => product * dimension, 1);
  return count;
}

function readPoolingType(header: GgufHeader, modelType: string): PoolingType | undefined {
  const value = getCount(header, `${modelType}.pooling_type`);
  return value === undefined ? undefined : poolingTypes[value];
}

function readDefaultSampling(header: GgufHeader): Readonly<Record<string, number>> {
  const sampling: Record<string, number> = {};
  for (const [key, name] of Object.entries(samplingKeys)) {
    const value = getNumber(header, `general.sampling.${key}`);
    // The file holds 32-bit floats; six digits give back the number that the author wrote.
    if (value !== undefined && Number.isFinite(value)) sampling[name] = Number(value.toPrecision(6));
  }
  return sampling;
}
