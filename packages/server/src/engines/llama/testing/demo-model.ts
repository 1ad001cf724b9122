import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Engine } from "../../../engine/engine.ts";
import { createLog } from "../../../operations/log.ts";
import { createLlamaEngine, type LlamaEngineOptions } from "../llama-engine.ts";

const demo = new URL("../../../../../../models/demo/", import.meta.url);

/** The demonstration model's GGUF file. */
export const demoModelPath: string = fileURLToPath(new URL("tiny-f16.gguf", demo));

export interface ReferencePrompt {
  readonly promptIds: readonly number[];
  /** Greedy ids of Hugging Face transformers, at most 64, the EOS included where it came. */
  readonly generatedIds: readonly number[];
  readonly endedByEos: boolean;
  /** Of each generated id. */
  readonly logprobs: readonly number[];
  readonly text: string;
}

/** What Hugging Face transformers answers (models/demo/reference/reference_ids.py). */
export function readReferencePrompts(): readonly ReferencePrompt[] {
  const text = readFileSync(new URL("reference/reference-ids.json", demo), "utf8");
  return (JSON.parse(text) as { prompts: ReferencePrompt[] }).prompts;
}

/** A llama engine over the demonstration model, not started, that logs nothing. */
export function createDemoEngine(changes: Partial<LlamaEngineOptions> = {}): Engine {
  return createLlamaEngine({
    modelPath: demoModelPath,
    maxModelLenTokens: undefined,
    maxNumSeqs: undefined,
    maxNumBatchedTokens: undefined,
    threads: 1,
    kvCacheMemoryBytes: undefined,
    log: createLog("silent"),
    ...changes,
  });
}
