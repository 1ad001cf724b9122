import type { AbortRequest, AbortResponse } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import type { InFlightRequests } from "./in-flight.ts";

/** Abort: ends requests by their caller's ids. Unknown ids are fine, as is none; the answer is always empty. */
export function abortHandler(inFlight: InFlightRequests): UnaryHandler<AbortRequest, AbortResponse> {
  return async (request) => {
    for (const id of request.requestIds) inFlight.abort(id);
    return {};
  };
}
