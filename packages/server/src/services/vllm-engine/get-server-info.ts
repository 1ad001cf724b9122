import { type GetServerInfoRequest, GetServerInfoResponse } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import type { VllmEngineContext } from "./context.ts";
import { knownFacts } from "./engine-status.ts";
import type { InFlightRequests } from "./in-flight.ts";

/**
 * GetServerInfo: what the server is and how busy. Answers in every state of the engine; until it was ready once, without
 * the engine's facts.
 *
 * `last_receive_timestamp` is when the engine last produced something (seconds since the epoch, 0 before), as in
 * SGLang. `server_type` is "tokenwire-grpc": vLLM's Python servicer leaves it empty, so no client relies on a value.
 * `constrained_decoding_start` is "first_token": no reasoning parser of ours delays a grammar. Fields of features that
 * tokenwire lacks (KV transfer, multimodal input, shared memory) stay empty.
 */
export function getServerInfoHandler(
  context: VllmEngineContext,
  inFlight: InFlightRequests,
): UnaryHandler<GetServerInfoRequest, GetServerInfoResponse> {
  return async () => {
    const own = {
      activeRequests: inFlight.size,
      isPaused: context.engine.pausedBecause !== undefined,
      lastReceiveTimestamp: inFlight.lastReceivedAtMs / 1000,
      uptimeSeconds: Math.max(0, context.now() - context.startedAtMs) / 1000,
      serverType: "tokenwire-grpc",
      constrainedDecodingStart: "first_token",
    };
    const facts = knownFacts(context.engine);
    if (facts === undefined) return GetServerInfoResponse.create({ ...own, dataParallelSize: 1 });
    return GetServerInfoResponse.create({
      ...own,
      dataParallelSize: facts.dataParallelSize ?? 1,
      kvCacheDtype: facts.kvCacheDtype,
      blockSize: facts.blockSizeTokens,
      modelDtype: facts.modelDtype,
      maxNumSeqs: facts.maxNumSeqs,
    });
  };
}
