import { type Decoded, MessagePackReader } from "../protocol/msgpack/reader.ts";

/** A request as the engine's side sees it. */
export interface MockRequest {
  readonly requestId: string;
  readonly promptTokenIds: readonly number[];
  /** Every key that came. */
  readonly samplingParams: ReadonlyMap<Decoded, Decoded>;
  readonly isPooling: boolean;
  readonly priority: number;
  readonly traceHeaders: Decoded;
  /** All places as they came. */
  readonly places: readonly Decoded[];
}

/** Reads an ADD. Throws what vLLM's decoder would: where it is no EngineCoreRequest the engine goes deaf. */
export function decodeAdd(body: Uint8Array): MockRequest {
  const places = new MessagePackReader(body).value();
  if (!Array.isArray(places)) throw new TypeError("an ADD is no array");
  const [requestId, promptTokenIds, , samplingParams, poolingParams] = places as readonly Decoded[];
  if (typeof requestId !== "string" || !Array.isArray(promptTokenIds))
    throw new TypeError("an ADD has no id or no prompt");
  const priority = places[13] as Decoded | undefined;
  return {
    requestId,
    promptTokenIds: promptTokenIds.map(Number),
    samplingParams: samplingParams instanceof Map ? samplingParams : new Map(),
    isPooling: poolingParams !== null && poolingParams !== undefined,
    priority: typeof priority === "number" ? priority : 0,
    traceHeaders: (places[14] as Decoded | undefined) ?? null,
    places: places as readonly Decoded[],
  };
}

/** A number of the sampling parameters. */
export function numberOf(request: MockRequest, key: string): number | undefined {
  const value = request.samplingParams.get(key);
  return typeof value === "number" ? value : undefined;
}

/** The ids of a list of the sampling parameters. */
export function idsOf(request: MockRequest, key: string): readonly number[] {
  const value = request.samplingParams.get(key);
  return Array.isArray(value) ? value.map(Number) : [];
}
