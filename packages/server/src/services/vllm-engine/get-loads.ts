import type { EngineLoad } from "../../engine/facts.ts";
import type { GetLoadsRequest, GetLoadsResponse, SchedulerLoad } from "../../generated/vllm_engine.ts";
import type { UnaryHandler } from "../../rpc/call.ts";
import type { VllmEngineContext } from "./context.ts";
import { requireReady } from "./engine-status.ts";
import { refuse } from "./validate/refuse.ts";

/**
 * GetLoads: one entry per data-parallel rank, or the one that `dp_rank` asks for. `include` is taken and ignored: the
 * sections it can name beyond the core figures are not in this response.
 */
export function getLoadsHandler(context: VllmEngineContext): UnaryHandler<GetLoadsRequest, GetLoadsResponse> {
  return async (request) => {
    requireReady(context.engine);
    const loads = context.engine.loads();
    const { dpRank } = request;
    const wanted = dpRank === undefined ? loads : loads.filter((load) => load.dpRank === dpRank);
    if (dpRank !== undefined && wanted.length === 0) {
      refuse("dp_rank", "unknown", dpRank, `from 0 to ${Math.max(0, loads.length - 1)}`);
    }
    return {
      timestamp: new Date(context.now()).toISOString(),
      version: context.version,
      dpRankCount: loads.length,
      loads: wanted.map(schedulerLoad),
    };
  };
}

function schedulerLoad(load: EngineLoad): SchedulerLoad {
  const usage = load.kvCacheTokens === 0 ? 0 : Math.min(1, load.usedKvTokens / load.kvCacheTokens);
  return {
    dpRank: load.dpRank,
    numRunningReqs: load.runningRequests,
    numWaitingReqs: load.waitingRequests,
    numTotalReqs: load.runningRequests + load.waitingRequests,
    numUsedTokens: load.usedKvTokens,
    maxTotalNumTokens: load.kvCacheTokens,
    tokenUsage: usage,
    genThroughput: load.generatedTokensPerSecond,
    cacheHitRate: load.cacheHitRate,
    utilization: usage,
    maxRunningRequests: load.maxRunningRequests,
    numWaitingUncachedTokens: Math.round(load.waitingPromptTokens * (1 - load.cacheHitRate)),
  };
}
