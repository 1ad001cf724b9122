import type { KvEventBatch, SubscribeKvEventsRequest } from "../../generated/common.ts";
import type { ServerStreamingHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";

/** SubscribeKvEvents: UNIMPLEMENTED, which makes a gateway poll GetLoads instead. */
export const subscribeKvEventsHandler: ServerStreamingHandler<SubscribeKvEventsRequest, KvEventBatch> = async () => {
  throw GrpcStatusError.of("UNIMPLEMENTED", "this engine publishes no KV cache events");
};
