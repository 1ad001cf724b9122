import { GrpcStatusError } from "../../rpc/status.ts";
import type { VllmEngineContext } from "./context.ts";
import type { InFlightRequests } from "./in-flight.ts";

/** How long a refused client is asked to wait before it tries again (gRFC A6, server push-back). */
const pushbackMs = 1000;

/**
 * Refuses a request that would wait in a queue that is full.
 *
 * The queue is the larger of what the engine reports and what our own calls hold beyond its slots: the engine's figure
 * is a sample of its last step and would let a burst through. Calls that were given up do not count in it, but an
 * engine that is stuck lets go of none, and clients that try again must not fill it without end.
 *
 * The bound on prompt tokens holds before a request is added, so that one prompt longer than the bound is served alone.
 *
 * @throws GrpcStatusError RESOURCE_EXHAUSTED with trailer `grpc-retry-pushback-ms`.
 */
export function admit(context: VllmEngineContext, inFlight: InFlightRequests, outputs: number): void {
  const { maxWaitingRequests: limit, maxQueuedPromptTokens: tokenLimit } = context;
  const queued = inFlight.queuedPromptTokens;
  if (tokenLimit !== undefined && queued >= tokenLimit) {
    refuse(`${queued} prompt tokens wait already; the limit is ${tokenLimit}`);
  }
  if (limit === undefined) return;
  const loads = context.engine.loads();
  const slots = loads.reduce((sum, load) => sum + load.maxRunningRequests, 0);
  const reported = loads.reduce((sum, load) => sum + load.waitingRequests, 0);
  const held = inFlight.unfinishedOutputs;
  const abandoned = inFlight.abandonedOutputs;
  if (abandoned > slots + limit) refuse(`the engine has not let go of ${abandoned} requests that were given up`);
  if (reported === 0 && held + outputs <= slots) return;
  const waiting = Math.max(reported, held - slots);
  if (waiting < limit) return;
  refuse(`${waiting} requests wait already; the limit is ${limit}`);
}

function refuse(details: string): never {
  throw GrpcStatusError.of("RESOURCE_EXHAUSTED", details, {
    trailers: { "grpc-retry-pushback-ms": String(pushbackMs) },
  });
}
