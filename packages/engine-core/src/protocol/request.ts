/**
 * What goes into an ADD: vLLM's EngineCoreRequest (vllm/v1/engine/__init__.py at 0.32), by the places that a front end
 * fills. Places that are left out are nil. Nothing is checked here; see `checkRequest` for what must be true before.
 */
export interface EngineCoreRequest {
  /** Unique among the requests in flight. What comes back carries it. */
  readonly requestId: string;
  readonly promptTokenIds: readonly number[] | Uint32Array;
  /**
   * vLLM's SamplingParams by their names on the wire; a Map where keys are numbers (`logit_bias`). Left out keys have
   * vLLM's defaults. Undefined for pooling.
   */
  readonly samplingParams?: WireMap | undefined;
  /** vLLM's PoolingParams: an array on the wire, in the order of its fields; undefined for generation. */
  readonly poolingParams?: readonly WireValue[] | undefined;
  /** Lower comes first; 0 by default. */
  readonly priority?: number | undefined;
  /** W3C trace context, handed on. */
  readonly traceHeaders?: Readonly<Record<string, string>> | undefined;
  /** [name, id, path, base model, in place, 3-d]; see vllm/lora/request.py. */
  readonly loraRequest?: readonly WireValue[] | undefined;
  readonly cacheSalt?: string | undefined;
}

/**
 * What MessagePack can say, as it is handed to the encoder. `undefined` becomes nil; in a map its key is left out, which
 * gives vLLM's default.
 */
export type WireValue =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly WireValue[]
  | Uint32Array
  | ReadonlyMap<number | string, WireValue>
  | WireMap;

/** A map with names as keys. */
export interface WireMap {
  readonly [name: string]: WireValue;
}
