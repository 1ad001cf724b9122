import { dirname, join } from "node:path";
import type { TokenizerFile } from "../../../engine/facts.ts";
import { readTokenizerFiles } from "../../tokenizer-files.ts";
import { describeModel } from "../gguf/describe-model.ts";
import type { GgufHeader } from "../gguf/gguf-header.ts";
import { checkSameVocabulary } from "./check-same-vocabulary.ts";
import { generationConfig, modelConfig, tokenizerConfig } from "./config-files.ts";
import type { Json } from "./json.ts";
import { tokenizerJson } from "./tokenizer-json.ts";
import { readVocabulary } from "./vocabulary.ts";

/**
 * The tokenizer of a model as the files that Hugging Face tokenizers are loaded from. Where a tokenizer.json lies beside
 * the model, the tokenizer files of that folder are taken; otherwise tokenizer.json is made from the metadata. Files
 * of tokenizer_config.json, config.json and generation_config.json that are not there are made from the metadata too.
 *
 * Throws an EngineError of kind failed-precondition, with what to do, when neither gives a tokenizer.
 * Costs up to a second or two of computing for the largest vocabularies: call it once and keep the result.
 */
export async function exportTokenizer(header: GgufHeader, ggufPath: string): Promise<readonly TokenizerFile[]> {
  const neighbours = await readTokenizerFiles(dirname(ggufPath), "tokenizer.json");
  const own = neighbours.find((file) => file.name === "tokenizer.json");
  if (own !== undefined) checkSameVocabulary(header, join(dirname(ggufPath), own.name), own.bytes);
  const files = neighbours.length > 0 ? neighbours : [jsonFile("tokenizer.json", await tokenizerJson(header))];
  const description = describeModel(header);
  const made: readonly (readonly [name: string, make: () => Json])[] = [
    ["tokenizer_config.json", () => tokenizerConfig(description, readVocabulary(header))],
    ["config.json", () => modelConfig(description)],
    ["generation_config.json", () => generationConfig(description)],
  ];
  const missing = made.filter(([name]) => !files.some((file) => file.name === name));
  return [...files, ...missing.map(([name, make]) => jsonFile(name, make()))];
}

function jsonFile(name: string, contents: Json): TokenizerFile {
  return { name, bytes: Buffer.from(JSON.stringify(contents), "utf8") };
}
