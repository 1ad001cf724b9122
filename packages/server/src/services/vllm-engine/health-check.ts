import type { HealthCheckRequest, HealthCheckResponse } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import type { VllmEngineContext } from "./context.ts";

/**
 * HealthCheck: what health says of the engine, with the reason in the message and in the trailers.
 *
 * Until the engine can serve, after its death and while the server drains the status is UNAVAILABLE and not
 * healthy=false: a gateway registers a worker on any answer that is OK.
 */
export function healthCheckHandler(context: VllmEngineContext): UnaryHandler<HealthCheckRequest, HealthCheckResponse> {
  return async (_request, call) => {
    const { outcome, message, trailers } = await context.health();
    if (outcome === "unavailable") throw GrpcStatusError.of("UNAVAILABLE", message, { trailers });
    for (const [key, value] of Object.entries(trailers)) call.setTrailer(key, value);
    return { healthy: outcome === "healthy", message };
  };
}
