import type { KvEventBatch, SubscribeKvEventsRequest } from "../../generated/common.ts";
import type { ServerStreamingHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import type { VllmEngineContext } from "./context.ts";
import type { KvSubscriptions } from "./kv/subscriptions.ts";

/**
 * SubscribeKvEvents: what the prefix caches hold, as it changes, and how loaded the engine is. The stream has no end of
 * its own.
 *
 * Headers go out at once. A client that gives the number of its last batch goes on after it; where the history does not
 * reach back so far, and for a client that gives 0, the stream begins with a snapshot. The same happens to a client that
 * reads too slowly. OUT_OF_RANGE answers a number that was never given; UNAVAILABLE ends the stream when the engine is
 * gone for good; UNIMPLEMENTED stands for an engine that tells no events, and makes a gateway poll GetLoads instead.
 */
export function subscribeKvEventsHandler(
  { engine }: VllmEngineContext,
  subscriptions: KvSubscriptions,
): ServerStreamingHandler<SubscribeKvEventsRequest, KvEventBatch> {
  return async (request, call) => {
    if (engine.kvEvents === undefined) {
      throw GrpcStatusError.of("UNIMPLEMENTED", "this engine publishes no KV cache events");
    }
    const { state } = engine;
    if (state.t === "closed") throw GrpcStatusError.of("UNAVAILABLE", "the engine is closed");
    if (state.t === "dead" && state.restartInMs === undefined) {
      throw GrpcStatusError.of("UNAVAILABLE", `the engine is dead: ${state.reason}`);
    }
    await subscriptions.serve(call, request);
  };
}
