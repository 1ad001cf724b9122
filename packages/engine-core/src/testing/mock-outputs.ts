import { MessagePackWriter } from "../protocol/msgpack/writer.ts";
import { type FinishReason, finishReasons } from "../protocol/outputs.ts";
import type { WireValue } from "../protocol/request.ts";

/** Rows of ids with their natural logarithms; column 0 is the token itself. */
export interface MockLogprobs {
  readonly tokenIds: readonly (readonly number[])[];
  readonly logprobs: readonly (readonly number[])[];
}

/** One output as an engine says it. */
export interface MockOutput {
  readonly requestId: string;
  readonly newTokenIds: readonly number[];
  readonly newLogprobs?: MockLogprobs | undefined;
  readonly newPromptLogprobs?: MockLogprobs | undefined;
  readonly pooling?: readonly number[] | undefined;
  readonly finishReason?: FinishReason | undefined;
  readonly stopReason?: number | string | undefined;
  readonly prefill?: { readonly promptTokens: number; readonly cachedTokens: number } | undefined;
}

export interface MockStats {
  readonly runningRequests: number;
  readonly waitingRequests: number;
  readonly kvCacheUsage: number;
}

export interface MockMessage {
  readonly engineIndex: number;
  readonly outputs: readonly MockOutput[];
  readonly stats?: MockStats | undefined;
  readonly utility?: { readonly callId: number; readonly failure?: string | undefined; readonly result?: WireValue };
}

/** From so many bytes on a tensor travels in a frame of its own (VLLM_MSGPACK_ZERO_COPY_THRESHOLD). */
const ownFrameBytes = 256;

/** A message of the output socket as vLLM 0.32 writes it: 9 places, outputs of 18, tensors inside or beside. */
export function encodeOutputs(message: MockMessage): Uint8Array[] {
  const writer = new MessagePackWriter();
  const beside: Uint8Array[] = [];
  writer.arrayHeader(9);
  writer.number(message.engineIndex);
  writer.arrayHeader(message.outputs.length);
  for (const output of message.outputs) writeOutput(writer, output, beside);
  writer.value(message.stats === undefined ? null : statsOf(message.stats));
  writer.float(performance.now() / 1000);
  const { utility } = message;
  if (utility === undefined) writer.nil();
  else if (utility.failure === undefined) writer.value([utility.callId, null, [null, utility.result]]);
  else writer.value([utility.callId, utility.failure, null]);
  writer.value(null); // finished_requests
  writer.value(null); // wave_complete
  writer.value(null); // start_wave
  writer.value("default"); // weight_version
  return [writer.take(), ...beside];
}

function writeOutput(writer: MessagePackWriter, output: MockOutput, beside: Uint8Array[]): void {
  writer.arrayHeader(18);
  writer.string(output.requestId);
  writer.integers(output.newTokenIds);
  writeLogprobs(writer, output.newLogprobs, ["<i4", "<f4", "<i8"], 4, beside);
  writeLogprobs(writer, output.newPromptLogprobs, ["int32", "float32", "int32"], 5, beside);
  if (output.pooling === undefined) writer.nil();
  else writeTensor(writer, "float32", [output.pooling.length], output.pooling, beside);
  writer.value(output.finishReason === undefined ? null : finishReasons.indexOf(output.finishReason));
  writer.value(output.stopReason);
  for (let place = 7; place < 11; place++) writer.nil();
  writer.value(
    output.prefill === undefined
      ? null
      : {
          num_prompt_tokens: output.prefill.promptTokens,
          num_computed_tokens: output.prefill.promptTokens - output.prefill.cachedTokens,
          num_cached_tokens: output.prefill.cachedTokens,
        },
  );
  writer.nil();
  writer.number(0); // num_nans_in_logits
  for (let place = 14; place < 18; place++) writer.nil();
}

function writeLogprobs(
  writer: MessagePackWriter,
  logprobs: MockLogprobs | undefined,
  [ids, values, ranks]: readonly [string, string, string],
  places: number,
  beside: Uint8Array[],
): void {
  if (logprobs === undefined) {
    writer.nil();
    return;
  }
  const rows = logprobs.tokenIds.length;
  const shape = [rows, logprobs.tokenIds[0]?.length ?? 0];
  writer.arrayHeader(places);
  writeTensor(writer, ids, shape, logprobs.tokenIds.flat(), beside);
  writeTensor(writer, values, shape, logprobs.logprobs.flat(), beside);
  writeTensor(writer, ranks, [rows], new Array(rows).fill(1), beside);
  for (let place = 3; place < places; place++) writer.nil();
}

function writeTensor(
  writer: MessagePackWriter,
  type: string,
  shape: readonly number[],
  values: readonly number[],
  beside: Uint8Array[],
): void {
  const bytes = bytesOf(type, values);
  writer.arrayHeader(3);
  writer.string(type);
  writer.integers(shape);
  if (bytes.length < ownFrameBytes) writer.extension(3, bytes);
  else writer.number(beside.push(bytes));
}

function bytesOf(type: string, values: readonly number[]): Uint8Array {
  if (type === "<i8") return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  const array = type.endsWith("f4") || type === "float32" ? Float32Array.from(values) : Int32Array.from(values);
  return new Uint8Array(array.buffer);
}

/** The keys that vLLM 0.32 sends, as far as a front end looks at them, and one that it does not know. */
function statsOf(stats: MockStats): WireValue {
  return {
    num_running_reqs: stats.runningRequests,
    num_waiting_reqs: stats.waitingRequests,
    num_skipped_waiting_reqs: 0,
    step_counter: 0,
    current_wave: 0,
    kv_cache_usage: stats.kvCacheUsage,
    prefix_cache_stats: { reset: false, requests: 0, queries: 0, hits: 0, hits_by_source: {} },
    kv_cache_eviction_events: [],
    spec_decoding_stats: null,
    waiting_lora_adapters: {},
    running_lora_adapters: {},
  };
}
