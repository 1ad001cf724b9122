import { EngineError } from "../../engine/errors.ts";
import type { HealthCheckRequest, HealthCheckResponse } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { bounded } from "./bounded.ts";
import type { VllmEngineContext } from "./context.ts";
import { requireReady } from "./engine-status.ts";

/** Below the second that a gateway with fast health checks waits, so that it reads our reason and not its timeout. */
export const checkTimeoutMs = 900;

/**
 * HealthCheck: a round trip through the engine's scheduling loop.
 *
 * Until the engine can serve, after its death and while the server drains the status is UNAVAILABLE and not
 * healthy=false: a gateway registers a worker on any answer that is OK.
 */
export function healthCheckHandler(context: VllmEngineContext): UnaryHandler<HealthCheckRequest, HealthCheckResponse> {
  const { engine } = context;
  // Callers share one round trip: a hung engine would otherwise gather one for every probe.
  let roundTrip: Promise<void> | undefined;
  const sharedRoundTrip = (): Promise<void> => {
    roundTrip ??= engine.checkHealth().finally(() => {
      roundTrip = undefined;
    });
    return roundTrip;
  };
  return async (_request, call) => {
    if (context.draining()) throw GrpcStatusError.of("UNAVAILABLE", "the server is shutting down");
    requireReady(engine);
    try {
      const answer = await bounded(context, call, checkTimeoutMs, sharedRoundTrip());
      if (answer !== undefined) return { healthy: true, message: "the engine answers" };
      return { healthy: false, message: `the engine did not answer within ${checkTimeoutMs} ms` };
    } catch (thrown) {
      if (thrown instanceof GrpcStatusError) throw thrown;
      requireReady(engine);
      return { healthy: false, message: EngineError.from(thrown).message };
    }
  };
}
