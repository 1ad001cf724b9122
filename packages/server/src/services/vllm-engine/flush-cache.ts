import type { FlushCacheRequest, FlushCacheResponse } from "../../generated/common.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { bounded, wait } from "./bounded.ts";
import type { VllmEngineContext } from "./context.ts";
import { requireReady } from "./engine-status.ts";

/** How long one try may take when the caller gives no time. */
const oneTryMs = 30_000;
const retryEveryMs = 100;
/** More is cut to this. */
const longestTimeoutMs = 3_600_000;

/**
 * FlushCache: drops cached prefixes. `timeout_s` 0 tries once (30 s at most); more tries again every 0.1 s while
 * requests in flight forbid it. Still refused in the end is success=false with status OK; an engine that gives no
 * answer in time is DEADLINE_EXCEEDED.
 */
export function flushCacheHandler(context: VllmEngineContext): UnaryHandler<FlushCacheRequest, FlushCacheResponse> {
  return async ({ timeoutS }, call) => {
    if (!Number.isFinite(timeoutS) || timeoutS < 0) {
      throw GrpcStatusError.of("INVALID_ARGUMENT", `timeout_s must be finite and non-negative, got ${timeoutS}`);
    }
    requireReady(context.engine);
    const timeoutMs = timeoutS === 0 ? oneTryMs : Math.min(timeoutS * 1000, longestTimeoutMs);
    const untilMs = context.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, untilMs - context.now());
      const answer = await bounded(context, call, leftMs, context.engine.flushCache());
      if (answer === undefined) {
        throw GrpcStatusError.of("DEADLINE_EXCEEDED", `the engine did not flush its cache within ${timeoutMs} ms`);
      }
      if (answer.value) return { success: true, message: "the cache is flushed" };
      if (timeoutS === 0 || context.now() + retryEveryMs > untilMs) {
        return { success: false, message: "requests in flight hold the cache" };
      }
      await wait(context, retryEveryMs, call.signal);
    }
  };
}
