import { badFrame } from "../engine-core-error.ts";
import { type Decoded, MessagePackReader } from "./msgpack/reader.ts";
import { type LogprobsTensors, readLogprobs, readTensor, type Tensor } from "./tensor.ts";

/** vLLM's FinishReason (vllm/v1/engine/__init__.py at 0.32), by its number on the wire. */
export const finishReasons = ["stop", "length", "abort", "error", "repetition"] as const;
export type FinishReason = (typeof finishReasons)[number];

/** What one step added to one request: vLLM's EngineCoreOutput, as far as a front end reads it. */
export interface EngineCoreOutput {
  readonly requestId: string;
  /** New since the last output. The token that ends it (EOS, a stop token) is in it. */
  readonly newTokenIds: readonly number[];
  /** Rows are the new tokens; column 0 is the sampled one, the others the top k. */
  readonly newLogprobs: LogprobsTensors | undefined;
  /** Rows are the prompt's tokens from the second on. May come in pieces, over several outputs. */
  readonly newPromptLogprobs: LogprobsTensors | undefined;
  readonly poolingOutput: Tensor | undefined;
  /** Set on the last output of a request. */
  readonly finishReason: FinishReason | undefined;
  /** What matched where the reason is `stop`; undefined for EOS. */
  readonly stopReason: number | string | undefined;
  /** On the first output of a request. */
  readonly prefillStats: { readonly promptTokens: number; readonly cachedTokens: number } | undefined;
  /** Since 0.33, with the reason `error`. */
  readonly error: string | undefined;
}

/** The answer to a utility call: a failure, or a result. */
export interface UtilityOutput {
  readonly callId: number;
  readonly failure: string | undefined;
  readonly result: Decoded;
}

/** The scheduler's counters of a message, read when somebody asks. Undefined with `--disable-log-stats`. */
export interface SchedulerStats {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  /** Share of the KV cache in use, [0, 1]. */
  readonly kvCacheUsage: number;
  /** Prompt tokens looked up in the prefix cache since the last message, and found. */
  readonly prefixCacheQueries: number;
  readonly prefixCacheHits: number;
}

/** One message of an engine: all that one step of its scheduler has to say. */
export interface EngineCoreOutputs {
  readonly engineIndex: number;
  readonly outputs: readonly EngineCoreOutput[];
  /** Decoded on the first call and kept. Throws a bad frame where the statistics are none. */
  schedulerStats(): SchedulerStats | undefined;
  readonly utilityOutput: UtilityOutput | undefined;
}

/** The places of EngineCoreOutputs (vllm/v1/engine/__init__.py at 0.32, 9 of them; 8 before). */
const firstPlaces = 5;

/**
 * Reads a message of the output socket: EngineCoreOutputs in the first frame, bytes of tensors in the others. Places that
 * an older engine does not send are undefined, places that a newer one appends are passed over. Throws a bad frame.
 */
export function decodeOutputs(frames: readonly Uint8Array[]): EngineCoreOutputs {
  const [body] = frames;
  if (body === undefined) throw badFrame("a message without a frame came from the engine");
  const reader = new MessagePackReader(body);
  const places = reader.arrayHeader("EngineCoreOutputs");
  if (places < 2) throw badFrame(`EngineCoreOutputs have ${places} places, not 2 or more`);
  const engineIndex = reader.integer("engine_index");
  const outputs = readOutputs(reader, frames);
  const stats = places > 2 ? skipped(reader) : undefined;
  if (places > 3) reader.skip();
  const utilityOutput = places >= firstPlaces ? readUtilityOutput(reader) : undefined;
  for (let place = firstPlaces; place < places; place++) reader.skip();
  if (!reader.isAtEnd) throw badFrame("bytes follow EngineCoreOutputs in their frame");
  return new DecodedOutputs(engineIndex, outputs, stats, utilityOutput);
}

class DecodedOutputs implements EngineCoreOutputs {
  readonly engineIndex: number;
  readonly outputs: readonly EngineCoreOutput[];
  readonly utilityOutput: UtilityOutput | undefined;
  readonly #statsBytes: Uint8Array | undefined;
  #stats: SchedulerStats | undefined;

  constructor(
    engineIndex: number,
    outputs: readonly EngineCoreOutput[],
    statsBytes: Uint8Array | undefined,
    utilityOutput: UtilityOutput | undefined,
  ) {
    this.engineIndex = engineIndex;
    this.outputs = outputs;
    this.#statsBytes = statsBytes;
    this.utilityOutput = utilityOutput;
  }

  schedulerStats(): SchedulerStats | undefined {
    if (this.#stats === undefined && this.#statsBytes !== undefined) this.#stats = decodeStats(this.#statsBytes);
    return this.#stats;
  }
}

function skipped(reader: MessagePackReader): Uint8Array | undefined {
  if (reader.nil()) return undefined;
  const from = reader.offset;
  reader.skip();
  return reader.slice(from, reader.offset);
}

function readOutputs(reader: MessagePackReader, frames: readonly Uint8Array[]): EngineCoreOutput[] {
  // A field that its writer left at its default may be nil in other versions.
  if (reader.nil()) return [];
  const length = reader.arrayHeader("outputs");
  const outputs: EngineCoreOutput[] = new Array(length);
  for (let index = 0; index < length; index++) outputs[index] = readOutput(reader, frames);
  return outputs;
}

/** Places 0 to 6 and 11 of EngineCoreOutput are read, 18 since 0.33. */
function readOutput(reader: MessagePackReader, frames: readonly Uint8Array[]): EngineCoreOutput {
  const places = reader.arrayHeader("EngineCoreOutput");
  if (places < 2) throw badFrame(`EngineCoreOutput has ${places} places, not 2 or more`);
  const requestId = reader.string("request_id");
  const newTokenIds = reader.integers("new_token_ids");
  let place = 2;
  const has = (): boolean => place++ < places && !reader.nil();
  const newLogprobs = has() ? readLogprobs(reader, frames, "new_logprobs") : undefined;
  const newPromptLogprobs = has() ? readLogprobs(reader, frames, "new_prompt_logprobs_tensors") : undefined;
  const poolingOutput = has() ? readTensor(reader, frames, "pooling_output") : undefined;
  const finishReason = has() ? readFinishReason(reader) : undefined;
  const stopReason = has() ? readStopReason(reader) : undefined;
  for (; place < Math.min(places, 11); place++) reader.skip();
  const prefillStats = has() ? readPrefillStats(reader) : undefined;
  for (; place < Math.min(places, 18); place++) reader.skip();
  const error = has() ? readError(reader) : undefined;
  for (; place < places; place++) reader.skip();
  return {
    requestId,
    newTokenIds,
    newLogprobs,
    newPromptLogprobs,
    poolingOutput,
    finishReason,
    stopReason,
    prefillStats,
    error,
  };
}

function readFinishReason(reader: MessagePackReader): FinishReason {
  const number = reader.integer("finish_reason");
  const reason = finishReasons[number];
  if (reason === undefined) throw badFrame(`finish_reason is ${number}, which no version of vLLM is known to send`);
  return reason;
}

function readStopReason(reader: MessagePackReader): number | string {
  const value = reader.value();
  if (typeof value !== "number" && typeof value !== "string") throw badFrame("stop_reason is no id and no text");
  return value;
}

function readPrefillStats(reader: MessagePackReader): EngineCoreOutput["prefillStats"] {
  const stats = numbersOf(reader, ["num_prompt_tokens", "num_cached_tokens"], "prefill_stats");
  return { promptTokens: stats[0] ?? 0, cachedTokens: stats[1] ?? 0 };
}

/** RequestError of 0.33: a map of code, message and retryable. */
function readError(reader: MessagePackReader): string {
  const value = reader.value();
  const message = value instanceof Map ? value.get("message") : value;
  return typeof message === "string" ? message : "the engine gave no reason";
}

function readUtilityOutput(reader: MessagePackReader): UtilityOutput | undefined {
  if (reader.nil()) return undefined;
  const places = reader.arrayHeader("utility_output");
  if (places < 2) throw badFrame(`utility_output has ${places} places, not 2 or more`);
  const callId = reader.integer("call_id");
  const failure = reader.nil() ? undefined : reader.string("failure_message");
  // [type, value]: the type is nil unless vLLM was told to send pickles.
  const wrapped = places > 2 ? reader.value() : null;
  for (let place = 3; place < places; place++) reader.skip();
  const result = Array.isArray(wrapped) ? ((wrapped[1] as Decoded | undefined) ?? null) : null;
  return { callId, failure, result };
}

function decodeStats(bytes: Uint8Array): SchedulerStats {
  const reader = new MessagePackReader(bytes);
  const pairs = reader.mapHeader("scheduler_stats");
  let running = 0;
  let waiting = 0;
  let kvCacheUsage = 0;
  let queries = 0;
  let hits = 0;
  let wanted = 5;
  // What comes behind the last that is wanted is not looked at: about half of the map.
  for (let pair = 0; pair < pairs && wanted > 0; pair++) {
    const key = reader.string("a key of scheduler_stats");
    wanted -= 1;
    switch (key) {
      case "num_running_reqs":
        running = reader.integer(key);
        break;
      // Requests that wait for a grammar or for their KV cache wait too.
      case "num_waiting_reqs":
      case "num_skipped_waiting_reqs":
        waiting += reader.integer(key);
        break;
      case "kv_cache_usage":
        kvCacheUsage = readNumber(reader, key);
        break;
      case "prefix_cache_stats":
        if (!reader.nil()) [queries = 0, hits = 0] = numbersOf(reader, ["queries", "hits"], key);
        break;
      default:
        wanted += 1;
        reader.skip();
    }
  }
  return {
    runningRequests: running,
    waitingRequests: waiting,
    kvCacheUsage,
    prefixCacheQueries: queries,
    prefixCacheHits: hits,
  };
}

function readNumber(reader: MessagePackReader, what: string): number {
  const value = reader.value();
  if (typeof value !== "number") throw badFrame(`${what} is no number`);
  return value;
}

/** The integers of a map by their names, undefined where they are missing. */
function numbersOf(reader: MessagePackReader, names: readonly string[], what: string): (number | undefined)[] {
  const found: (number | undefined)[] = names.map(() => undefined);
  const pairs = reader.mapHeader(what);
  for (let pair = 0; pair < pairs; pair++) {
    const index = names.indexOf(reader.string(`a key of ${what}`));
    if (index < 0) reader.skip();
    else found[index] = reader.nil() ? undefined : reader.integer(what);
  }
  return found;
}
