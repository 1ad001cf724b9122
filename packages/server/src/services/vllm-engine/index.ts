import {
  FlushCacheRequest,
  FlushCacheResponse,
  GetTokenizerChunk,
  GetTokenizerRequest,
  KvEventBatch,
  ProfileResponse,
  StartProfileRequest,
  StopProfileRequest,
  SubscribeKvEventsRequest,
} from "../../generated/common.ts";
import {
  AbortRequest,
  AbortResponse,
  EmbedRequest,
  EmbedResponse,
  GenerateRequest,
  GetLoadsRequest,
  GetLoadsResponse,
  GetModelInfoRequest,
  GetModelInfoResponse,
  GetServerInfoRequest,
  GetServerInfoResponse,
  HealthCheckRequest,
  HealthCheckResponse,
} from "../../generated/vllm_engine.ts";
import { systemClock } from "../../operations/clock.ts";
import { type Service, serverStreaming, unary } from "../../rpc/service.ts";
import { abortHandler } from "./abort.ts";
import { generateResponseCodec } from "./chunk-encoder.ts";
import type { VllmEngineContext } from "./context.ts";
import { embedHandler } from "./embed.ts";
import { withEngineStatus } from "./engine-status.ts";
import { flushCacheHandler } from "./flush-cache.ts";
import { generateHandler } from "./generate.ts";
import { getLoadsHandler } from "./get-loads.ts";
import { getModelInfoHandler } from "./get-model-info.ts";
import { getServerInfoHandler } from "./get-server-info.ts";
import { getTokenizerHandler } from "./get-tokenizer.ts";
import { healthCheckHandler } from "./health-check.ts";
import { InFlightRequests } from "./in-flight.ts";
import { KvSubscriptions } from "./kv/subscriptions.ts";
import { WorkInFlight } from "./kv/work-in-flight.ts";
import { Profiles } from "./profile.ts";
import { mostValuesFor, strictRequest } from "./strict-request.ts";
import { subscribeKvEventsHandler } from "./subscribe-kv-events.ts";

export type { VllmEngineContext } from "./context.ts";

/** The service's name on the wire, and its name in health checks. */
export const vllmEngineServiceName = "vllm.grpc.engine.VllmEngine";

/**
 * Makes the service that gateways drive vLLM with (proto/vllm_engine.proto), over any engine.
 *
 * Every call fails with a GrpcStatusError: INVALID_ARGUMENT names field, value and range; UNAVAILABLE stands for an
 * engine that is starting, dead or closed; RESOURCE_EXHAUSTED for a full queue; UNIMPLEMENTED for what no engine here
 * has.
 */
export function createVllmEngineService(context: VllmEngineContext): Service {
  const { log } = context;
  const inFlight = new InFlightRequests();
  const mostValues = () => mostValuesFor(context.engine);
  const generateRequest = strictRequest("GenerateRequest", GenerateRequest, mostValues);
  const embedRequest = strictRequest("EmbedRequest", EmbedRequest, mostValues);
  const abortRequest = strictRequest("AbortRequest", AbortRequest, mostValues);
  const { clock = systemClock, now } = context;
  const work = new WorkInFlight(context.engine, clock);
  const subscriptions = new KvSubscriptions({ engine: context.engine, work, clock, now });
  const generate = withEngineStatus(log, generateHandler({ ...context, engine: work.engine }, inFlight));
  const embed = withEngineStatus(log, embedHandler(context, inFlight));
  const abort = withEngineStatus(log, abortHandler(inFlight));
  const healthCheck = withEngineStatus(log, healthCheckHandler(context));
  const getModelInfo = withEngineStatus(log, getModelInfoHandler(context));
  const getServerInfo = withEngineStatus(log, getServerInfoHandler(context, inFlight));
  const getLoads = withEngineStatus(log, getLoadsHandler(context));
  const getTokenizer = withEngineStatus(log, getTokenizerHandler(context));
  const subscribeKvEvents = withEngineStatus(log, subscribeKvEventsHandler(context, subscriptions));
  const flushCache = withEngineStatus(log, flushCacheHandler(context));
  const profiles = new Profiles(context);
  const startProfile = withEngineStatus(log, profiles.start);
  const stopProfile = withEngineStatus(log, profiles.stop);
  return {
    name: vllmEngineServiceName,
    methods: [
      serverStreaming("Generate", generateRequest, generateResponseCodec, generate),
      unary("Embed", embedRequest, EmbedResponse, embed),
      unary("HealthCheck", strictRequest("HealthCheckRequest", HealthCheckRequest), HealthCheckResponse, healthCheck),
      unary("Abort", abortRequest, AbortResponse, abort),
      unary(
        "GetModelInfo",
        strictRequest("GetModelInfoRequest", GetModelInfoRequest),
        GetModelInfoResponse,
        getModelInfo,
      ),
      unary(
        "GetServerInfo",
        strictRequest("GetServerInfoRequest", GetServerInfoRequest),
        GetServerInfoResponse,
        getServerInfo,
      ),
      unary("GetLoads", strictRequest("GetLoadsRequest", GetLoadsRequest), GetLoadsResponse, getLoads),
      serverStreaming(
        "GetTokenizer",
        strictRequest("GetTokenizerRequest", GetTokenizerRequest),
        GetTokenizerChunk,
        getTokenizer,
      ),
      serverStreaming(
        "SubscribeKvEvents",
        strictRequest("SubscribeKvEventsRequest", SubscribeKvEventsRequest),
        KvEventBatch,
        subscribeKvEvents,
        { openEnded: true },
      ),
      unary("FlushCache", strictRequest("FlushCacheRequest", FlushCacheRequest), FlushCacheResponse, flushCache),
      unary("StartProfile", strictRequest("StartProfileRequest", StartProfileRequest), ProfileResponse, startProfile),
      unary("StopProfile", strictRequest("StopProfileRequest", StopProfileRequest), ProfileResponse, stopProfile),
    ],
  };
}
