import { MessagePackWriter } from "./msgpack/writer.ts";
import type { EngineCoreRequest } from "./request.ts";

/** First frame after the identity of a message to an engine: EngineCoreRequestType (vllm/v1/engine/__init__.py at 0.32). */
export const requestType: Readonly<Record<"add" | "abort" | "utility", Uint8Array>> = {
  add: Uint8Array.of(0),
  abort: Uint8Array.of(1),
  utility: Uint8Array.of(3),
};

/** Places of EngineCoreRequest that every known version has, and that suffice for most requests. */
const leastPlaces = 9;
const clientIndexPlace = 11;
const priorityPlace = 13;
const traceHeadersPlace = 14;

/**
 * Encodes an EngineCoreRequest, an array by place. Places after the last one that says something are left off, which vLLM
 * allows; so an older engine never sees a place it does not know.
 */
export function encodeAdd(request: EngineCoreRequest, arrivalTimeSeconds: number): Uint8Array {
  const writer = new MessagePackWriter();
  const places = placesOf(request);
  writer.arrayHeader(places);
  writer.string(request.requestId);
  writer.integers(request.promptTokenIds);
  writer.nil(); // mm_features
  writer.value(request.samplingParams);
  writer.value(request.poolingParams);
  writer.float(arrivalTimeSeconds);
  writer.value(request.loraRequest);
  writer.value(request.cacheSalt);
  writer.nil(); // data_parallel_rank: the socket's identity already chose the engine
  for (let place = leastPlaces; place < places; place++) {
    switch (place) {
      case clientIndexPlace:
      case clientIndexPlace + 1: // current_wave
        writer.number(0);
        break;
      case priorityPlace:
        writer.number(request.priority ?? 0);
        break;
      case traceHeadersPlace:
        writer.value(request.traceHeaders);
        break;
      default:
        writer.nil();
    }
  }
  return writer.take();
}

function placesOf(request: EngineCoreRequest): number {
  if (request.traceHeaders !== undefined) return traceHeadersPlace + 1;
  return request.priority === undefined || request.priority === 0 ? leastPlaces : priorityPlace + 1;
}
