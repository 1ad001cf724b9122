import { EngineError } from "../../../engine/errors.ts";
import type { TokenizerFile } from "../../../engine/facts.ts";
import { createHuggingFaceTokenizer, type HuggingFaceTokenizer } from "../../../text/hugging-face-tokenizer.ts";
import { isJsonObject, type JsonObject, readJsonFile } from "./read-json-file.ts";
import { specialTokenId, tokenIdsOf } from "./special-token-ids.ts";

/** What the files of a model in Hugging Face's form say of it. */
export interface HuggingFaceModel {
  readonly folder: string;
  readonly modelType: string;
  readonly architectures: readonly string[];
  /** Rows of the embedding: an id from here on kills an engine. */
  readonly vocabSize: number;
  /** The id that vLLM takes as the EOS: the tokenizer's own. */
  readonly eosTokenId: number | undefined;
  /** The other ids that end an output, which vLLM adds to the stop tokens. */
  readonly furtherEosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly padTokenId: number | undefined;
  /** Of generation_config.json, under their names there. */
  readonly defaultSampling: Readonly<Record<string, number>>;
  readonly tokenizer: HuggingFaceTokenizer | { readonly missingBecause: string };
}

const maxConfigBytes = 4 * 1024 * 1024;
/** Chat templates live in it. */
const maxTokenizerConfigBytes = 32 * 1024 * 1024;
/** The largest in use have some 35 MB; clients of GetTokenizer take 200 MiB for all files. */
const maxTokenizerBytes = 200 * 1024 * 1024;
/** An int32 on the wire, and far above every model. */
const maxVocabSize = 2 ** 31 - 1;

/** vllm/config/model.py, get_diff_sampling_param. */
const samplingNames = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"] as const;

/**
 * Reads config.json, generation_config.json, tokenizer.json and tokenizer_config.json of a model's folder. Only the first
 * is needed: without a tokenizer text prompts and stop strings cannot be served, and ids can.
 *
 * @param files what was read of the folder before, which is not read again.
 * Throws `failed-precondition` with the file and what is wrong with it.
 */
export async function readModel(folder: string, files: readonly TokenizerFile[] = []): Promise<HuggingFaceModel> {
  const read = (name: string, maxBytes: number) => readJsonFile(folder, name, maxBytes, files);
  const config = await read("config.json", maxConfigBytes);
  if (config === undefined) {
    throw new EngineError(
      "failed-precondition",
      `${folder} has no config.json, so it is no model in Hugging Face's form`,
    );
  }
  const generation = (await read("generation_config.json", maxConfigBytes)) ?? {};
  const definition = await read("tokenizer.json", maxTokenizerBytes);
  const tokenizerConfig = (await read("tokenizer_config.json", maxTokenizerConfigBytes)) ?? {};

  // Models for several kinds of input keep the language model's figures in a part of their own.
  const text: JsonObject = isJsonObject(config.text_config) ? { ...config, ...config.text_config } : config;
  const vocabSize = vocabSizeOf(folder, text);
  const known = (name: string): number | undefined =>
    definition === undefined ? undefined : specialTokenId(name, tokenizerConfig, definition);
  const inVocabulary = (id: number | undefined): id is number => id !== undefined && id < vocabSize;
  const firstOf = (...ids: readonly (number | undefined)[]): number | undefined => ids.find(inVocabulary);

  // vLLM makes the generation config from config.json where there is none (get_hf_config's try_get_generation_config).
  const ends = tokenIdsOf(generation.eos_token_id ?? text.eos_token_id).filter(inVocabulary);
  const eosTokenId = firstOf(known("eos_token"), ...ends);
  return {
    folder,
    modelType: typeof config.model_type === "string" ? config.model_type : "",
    architectures: textsOf(config.architectures),
    vocabSize,
    eosTokenId,
    furtherEosTokenIds: [...new Set(ends)].filter((id) => id !== eosTokenId),
    bosTokenId: firstOf(known("bos_token"), ...tokenIdsOf(generation.bos_token_id), ...tokenIdsOf(text.bos_token_id)),
    padTokenId: firstOf(known("pad_token"), ...tokenIdsOf(generation.pad_token_id), ...tokenIdsOf(text.pad_token_id)),
    defaultSampling: samplingOf(generation),
    tokenizer: tokenizerOf(folder, definition, tokenizerConfig),
  };
}

function vocabSizeOf(folder: string, config: JsonObject): number {
  const size = config.vocab_size;
  if (typeof size === "number" && Number.isInteger(size) && size >= 1 && size <= maxVocabSize) return size;
  const shown = JSON.stringify(size) ?? "nothing";
  throw new EngineError(
    "failed-precondition",
    `${folder}/config.json: vocab_size must be a whole number from 1 to ${maxVocabSize}, got ${shown.slice(0, 64)}`,
  );
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function samplingOf(generation: JsonObject): Readonly<Record<string, number>> {
  const sampling: Record<string, number> = {};
  for (const name of samplingNames) {
    const value = generation[name];
    if (typeof value === "number" && Number.isFinite(value)) sampling[name] = value;
  }
  return sampling;
}

function tokenizerOf(
  folder: string,
  definition: JsonObject | undefined,
  config: JsonObject,
): HuggingFaceModel["tokenizer"] {
  if (definition === undefined) return { missingBecause: `${folder} has no tokenizer.json` };
  try {
    return createHuggingFaceTokenizer(definition, config);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return { missingBecause: `${folder}/tokenizer.json cannot be used: ${reason}` };
  }
}
