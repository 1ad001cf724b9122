import { badFrame } from "../engine-core-error.ts";
import { type Decoded, decodeMessagePack } from "./msgpack/reader.ts";

/**
 * What an engine says of itself when it is ready (EngineCoreReadyResponse, vllm/v1/engine/__init__.py at 0.32). A map on
 * the wire, which grows: unknown keys are kept in `all`. What an older engine does not say is undefined.
 */
export interface ReadyFacts {
  /** Data-parallel rank, from the engine's identity. */
  readonly engineIndex: number;
  readonly maxModelLenTokens: number;
  readonly vllmVersion: string | undefined;
  readonly dtype: string | undefined;
  readonly blockSizeTokens: number | undefined;
  readonly gpuBlocks: number | undefined;
  readonly kvCacheTokens: number | undefined;
  readonly maxNumSeqs: number | undefined;
  readonly maxNumBatchedTokens: number | undefined;
  readonly dataParallelSize: number | undefined;
  readonly tensorParallelSize: number | undefined;
  readonly pipelineParallelSize: number | undefined;
  readonly supportsLora: boolean;
  /** Every key as it came, for what is not named here. JSON. */
  readonly all: Readonly<Record<string, unknown>>;
}

/** Reads the first message on the input socket. Throws a bad frame without a usable `max_model_len`. */
export function decodeReadyResponse(engineIndex: number, body: Uint8Array): ReadyFacts {
  const message = decodeMessagePack(body);
  if (!(message instanceof Map)) throw badFrame("an engine's ready response is no map");
  return readyFacts(engineIndex, toJson(message));
}

/** The facts by their names; also for a response that was remembered as JSON. */
export function readyFacts(engineIndex: number, all: Readonly<Record<string, unknown>>): ReadyFacts {
  const count = (key: string): number | undefined => {
    const value = all[key];
    return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  };
  const text = (key: string): string | undefined => {
    const value = all[key];
    return typeof value === "string" ? value : undefined;
  };
  const maxModelLenTokens = count("max_model_len");
  if (maxModelLenTokens === undefined || maxModelLenTokens === 0) {
    throw badFrame(`an engine is ready with a max_model_len of ${JSON.stringify(all.max_model_len) ?? "nothing"}`);
  }
  return {
    engineIndex,
    maxModelLenTokens,
    vllmVersion: text("vllm_version"),
    dtype: text("dtype"),
    blockSizeTokens: count("block_size"),
    gpuBlocks: count("num_gpu_blocks"),
    kvCacheTokens: count("kv_cache_size_tokens"),
    maxNumSeqs: count("max_num_seqs"),
    maxNumBatchedTokens: count("max_num_batched_tokens"),
    dataParallelSize: count("data_parallel_size"),
    tensorParallelSize: count("tensor_parallel_size"),
    pipelineParallelSize: count("pipeline_parallel_size"),
    supportsLora: all.supports_lora === true,
    all,
  };
}

function toJson(map: ReadonlyMap<Decoded, Decoded>): Record<string, unknown> {
  return Object.fromEntries([...map].map(([key, value]) => [String(key), plain(value)]));
}

function plain(value: Decoded): unknown {
  if (value instanceof Map) return toJson(value);
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "object" ? null : value;
}
