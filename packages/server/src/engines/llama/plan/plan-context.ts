import { EngineError } from "../../../engine/errors.ts";
import type { ModelDescription } from "../gguf/describe-model.ts";
import type { LlamaChildOptions } from "../ipc.ts";
import { checkBatchedTokens, checkRange } from "./check-requested.ts";
import { showBytes } from "./show-bytes.ts";

/** What the user asked for; undefined leaves the choice to the plan. */
export interface RequestedContext {
  /** `--max-model-len`: prompt and output together, 1 to the trained context. */
  readonly maxModelLenTokens?: number | undefined;
  /** `--max-num-seqs`: 1 to 256. */
  readonly maxNumSeqs?: number | undefined;
  /** `--max-num-batched-tokens`: at least one for each sequence, at most 65,536. */
  readonly maxNumBatchedTokens?: number | undefined;
  /** `--threads`: 1 to 1,024. */
  readonly threads?: number | undefined;
  /** `--kv-cache-memory-bytes`. */
  readonly kvCacheMemoryBytes?: number | undefined;
}

export interface PlanInput {
  readonly description: Pick<ModelDescription, "trainedContextTokens" | "kvBytesPerToken" | "parameterCount">;
  readonly requested: RequestedContext;
  /** Memory that can be taken without swapping, below every limit of the container. */
  readonly availableMemoryBytes: number;
  /** Cores that may be used, below the quota of the container; at least 1. */
  readonly availableCores: number;
}

/** The part of the child's options that is planned. */
export type PlannedOptions = Pick<
  LlamaChildOptions,
  "maxModelLenTokens" | "maxNumSeqs" | "maxNumBatchedTokens" | "threads"
>;

/** The final numbers for the child, and how they came to be. */
export interface LlamaPlan {
  readonly options: PlannedOptions;
  /** Bytes that the KV cache takes. */
  readonly kvCacheBytes: number;
  /** Bytes that it was allowed to take. */
  readonly kvCacheBudgetBytes: number;
  /** Sentences for the log: each reduction, and the flag that changes it. Empty when every default held. */
  readonly notes: readonly string[];
}

/** llama.cpp rounds the cells of each sequence up to this (`n_ctx_seq` in `src/llama-context.cpp`). */
const cellStep = 256;
const maxSequences = 256;
const defaultSequences = 32;
/** Below this, requests would wait for one another; a shorter context is given up first. */
const comfortableSequences = 4;
/** Below this, ordinary prompts would be refused; sequences are given up first. */
const comfortableContextTokens = 4_096;
const defaultBatchedTokens = 512;
const maxBatchedTokens = 65_536;
const maxThreads = 1_024;
const defaultBudgetBytes = 4 * 1024 ** 3;
/** A model this small is computed faster than threads can be brought together for each layer. */
const oneThreadBelowParameters = 100_000_000;

/**
 * Decides how a model is loaded: context length, number of sequences, tokens per step, threads. Every sequence owns
 * `maxModelLenTokens` cells of the KV cache (it is not paged), and the cache never exceeds its budget:
 * `kvCacheMemoryBytes`, or a quarter of the available memory and at most 4 GiB.
 *
 * Defaults: the trained context, 32 sequences, 512 tokens a step, one thread below 100 million parameters and otherwise
 * all cores but one. When the defaults do not fit, sequences go down to 4, then the context to 4,096 tokens, then
 * sequences to 1, then the context further; each step leaves a note. What was asked for is never reduced: where it
 * cannot hold, an EngineError of kind failed-precondition gives the numbers and the flags.
 */
export function planContext(input: PlanInput): LlamaPlan {
  const { description, requested, availableMemoryBytes } = input;
  const { trainedContextTokens, kvBytesPerToken } = description;
  checkRange("--max-num-seqs", requested.maxNumSeqs, 1, maxSequences);
  checkRange("--threads", requested.threads, 1, maxThreads);
  checkRange("--max-num-batched-tokens", requested.maxNumBatchedTokens, 1, maxBatchedTokens);
  checkRange("--kv-cache-memory-bytes", requested.kvCacheMemoryBytes, 1, Number.MAX_SAFE_INTEGER);
  checkRange("--max-model-len", requested.maxModelLenTokens, 1, Number.MAX_SAFE_INTEGER);
  if ((requested.maxModelLenTokens ?? 0) > trainedContextTokens) {
    throw new EngineError(
      "failed-precondition",
      `--max-model-len ${requested.maxModelLenTokens} is longer than the ${trainedContextTokens} tokens that the model was trained for; ask for ${trainedContextTokens} at most.`,
    );
  }
  const kvCacheBudgetBytes = budget(requested.kvCacheMemoryBytes, availableMemoryBytes);
  const { maxModelLenTokens, maxNumSeqs } = fit(requested, trainedContextTokens, kvBytesPerToken, kvCacheBudgetBytes);
  const maxNumBatchedTokens = requested.maxNumBatchedTokens ?? Math.max(defaultBatchedTokens, maxNumSeqs);
  checkBatchedTokens(maxNumBatchedTokens, maxNumSeqs);
  const threads = requested.threads ?? defaultThreads(description.parameterCount, input.availableCores);
  return {
    options: { maxModelLenTokens, maxNumSeqs, maxNumBatchedTokens, threads },
    kvCacheBytes: cacheBytes(maxModelLenTokens, maxNumSeqs, kvBytesPerToken),
    kvCacheBudgetBytes,
    notes: [
      ...notesOnFit(requested, trainedContextTokens, maxModelLenTokens, maxNumSeqs, kvCacheBudgetBytes),
      ...noteOnThreads(threads, input.availableCores),
    ],
  };
}

interface Fit {
  readonly maxModelLenTokens: number;
  readonly maxNumSeqs: number;
}

function fit(requested: RequestedContext, trained: number, bytesPerToken: number, budgetBytes: number): Fit {
  const fixedLength = requested.maxModelLenTokens;
  const fixedSeqs = requested.maxNumSeqs;
  const longest = fixedLength ?? trained;
  const most = fixedSeqs ?? defaultSequences;
  const seqsThatFit = (length: number): number =>
    Math.min(most, Math.floor(budgetBytes / Math.max(1, cacheBytes(length, 1, bytesPerToken))));
  const lengthThatFits = (seqs: number): number => {
    const cells = Math.floor(budgetBytes / Math.max(1, bytesPerToken * seqs));
    return Math.min(longest, Math.floor(cells / cellStep) * cellStep);
  };

  const leastSeqs = fixedSeqs ?? 1;
  const fewSeqs = fixedSeqs ?? comfortableSequences;
  const shortLength = fixedLength ?? Math.min(trained, comfortableContextTokens);
  if (seqsThatFit(longest) >= fewSeqs) return { maxModelLenTokens: longest, maxNumSeqs: seqsThatFit(longest) };
  if (fixedLength === undefined && lengthThatFits(fewSeqs) >= shortLength) {
    return { maxModelLenTokens: lengthThatFits(fewSeqs), maxNumSeqs: fewSeqs };
  }
  if (seqsThatFit(shortLength) >= leastSeqs) {
    return { maxModelLenTokens: shortLength, maxNumSeqs: seqsThatFit(shortLength) };
  }
  const leastLength = lengthThatFits(leastSeqs);
  if (fixedLength === undefined && leastLength > 0) return { maxModelLenTokens: leastLength, maxNumSeqs: leastSeqs };
  throw tooSmall(fixedLength ?? Math.min(trained, cellStep), leastSeqs, bytesPerToken, budgetBytes);
}

function cacheBytes(lengthTokens: number, seqs: number, bytesPerToken: number): number {
  return Math.ceil(lengthTokens / cellStep) * cellStep * seqs * bytesPerToken;
}

function budget(requestedBytes: number | undefined, availableBytes: number): number {
  if (requestedBytes === undefined) return Math.min(defaultBudgetBytes, Math.floor(availableBytes / 4));
  if (requestedBytes > availableBytes) {
    throw new EngineError(
      "failed-precondition",
      `--kv-cache-memory-bytes ${requestedBytes} (${showBytes(requestedBytes)}) is more than the ${showBytes(availableBytes)} of memory that are available; ask for less or give the process more.`,
    );
  }
  return requestedBytes;
}

function defaultThreads(parameterCount: number, availableCores: number): number {
  if (parameterCount < oneThreadBelowParameters) return 1;
  return Math.min(maxThreads, Math.max(1, Math.floor(availableCores) - 1));
}

function tooSmall(lengthTokens: number, seqs: number, bytesPerToken: number, budgetBytes: number): EngineError {
  const needed = cacheBytes(lengthTokens, seqs, bytesPerToken);
  return new EngineError(
    "failed-precondition",
    `The KV cache of ${lengthTokens} tokens for ${seqs === 1 ? "1 sequence" : `${seqs} sequences`} needs ${needed} bytes (${showBytes(needed)}), and ${budgetBytes} (${showBytes(budgetBytes)}) are set aside for it; raise --kv-cache-memory-bytes, or lower --max-model-len or --max-num-seqs.`,
  );
}

function notesOnFit(
  requested: RequestedContext,
  trained: number,
  length: number,
  seqs: number,
  bytes: number,
): string[] {
  const notes: string[] = [];
  const room = `${showBytes(bytes)} are set aside for the KV cache`;
  if (requested.maxNumSeqs === undefined && seqs < defaultSequences) {
    notes.push(
      `Runs ${seqs} sequences at once instead of ${defaultSequences}, because each owns ${length} tokens and ${room}; --max-num-seqs, --max-model-len or --kv-cache-memory-bytes changes this.`,
    );
  }
  if (requested.maxModelLenTokens === undefined && length < trained) {
    notes.push(
      `Serves contexts of ${length} tokens instead of the trained ${trained}, because ${room}; --max-model-len, --max-num-seqs or --kv-cache-memory-bytes changes this.`,
    );
  }
  return notes;
}

function noteOnThreads(threads: number, availableCores: number): string[] {
  if (threads <= availableCores) return [];
  return [
    `Computes with ${threads} threads on ${availableCores} available cores; threads that wait for a core slow every step down, so --threads ${Math.max(1, availableCores)} or less is faster.`,
  ];
}
