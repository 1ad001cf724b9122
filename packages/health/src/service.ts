import { HealthStatusError, StatusCode } from "./status-error.ts";
import { type StatusTable, StatusTableFullError } from "./status-table.ts";
import { type HealthCall, type HealthWatchCall, streamStatus } from "./watch-stream.ts";
import {
  decodeHealthCheckRequest,
  decodeHealthListRequest,
  type HealthCheckRequest,
} from "./wire/health-check-request.ts";
import { encodeHealthCheckResponse, type HealthCheckResponse } from "./wire/health-check-response.ts";
import { encodeHealthListResponse, type HealthListResponse } from "./wire/health-list-response.ts";

export interface HealthServiceOptions {
  /**
   * Awaited exactly once before each Check is answered, with the name that was asked, and once before each List, with the
   * empty name: the place to look at what the status should be. It should be quick and bound its own waiting; what it
   * rejects with ends the call. Watch does not wait for it.
   */
  readonly beforeCheck?: (service: string) => Promise<void>;
  /**
   * Trailing metadata for the answer to a Check, such as why the status is what it is: lower-case keys, ASCII values.
   * Asked after `beforeCheck`, for registered names only; sent where the call takes trailers.
   */
  readonly annotate?: (service: string) => Readonly<Record<string, string>> | undefined;
  /** Most names that List answers with; beyond them it fails RESOURCE_EXHAUSTED. Default 100, as in grpc-go. */
  readonly maxListedServices?: number;
}

/** A method with its codec and handler; messages are `unknown` to the transport that carries them. */
export type HealthMethod = {
  readonly name: string;
  /** Throws {@link HealthStatusError} INVALID_ARGUMENT on malformed bytes. */
  decodeRequest(bytes: Uint8Array): unknown;
  encodeResponse(response: unknown): Uint8Array;
  /** The answer ends only when somebody ends it, so a server that drains must not wait for it. */
  readonly openEnded?: boolean;
} /** Answers at once, or with a promise; throws or rejects for a status that is not OK. */ & (
  | { readonly kind: "unary"; readonly handler: (request: unknown, call: HealthCall) => unknown }
  | { readonly kind: "server-streaming"; readonly handler: (request: unknown, call: HealthWatchCall) => Promise<void> }
);

/** `grpc.health.v1.Health` for any transport that takes services of this shape. */
export interface HealthService {
  readonly name: "grpc.health.v1.Health";
  readonly methods: readonly HealthMethod[];
  /** A server that drains should still answer here: that it drains is the answer. */
  readonly servesWhileDraining: true;
}

/**
 * Makes `grpc.health.v1.Health` over a table: Check, List and Watch.
 *
 * Check answers NOT_FOUND for a name that is not registered. Watch never ends by itself: it goes on, also for unknown
 * names and after the table's shutdown, until its call's signal fires, and then rejects with the signal's reason. All
 * other failures are {@link HealthStatusError}.
 */
export function createHealthService(table: StatusTable, options: HealthServiceOptions = {}): HealthService {
  const { annotate, beforeCheck, maxListedServices = 100 } = options;

  const answerCheck = ({ service }: HealthCheckRequest, call: HealthCall): HealthCheckResponse => {
    const status = table.get(service);
    if (status === undefined) throw new HealthStatusError(StatusCode.NOT_FOUND, `Unknown service: ${service}`);
    const trailers = annotate?.(service);
    if (trailers !== undefined) for (const [key, value] of Object.entries(trailers)) call.setTrailer?.(key, value);
    return { status };
  };

  // Without a promise where nothing is waited for: it is half of what a Check costs (bench/transport).
  const check =
    beforeCheck === undefined
      ? answerCheck
      : async (request: HealthCheckRequest, call: HealthCall): Promise<HealthCheckResponse> => {
          await beforeCheck(request.service);
          return answerCheck(request, call);
        };

  const list = async (): Promise<HealthListResponse> => {
    await beforeCheck?.("");
    if (table.size > maxListedServices) {
      const sentence = `${table.size} services are registered, more than List answers with (${maxListedServices})`;
      throw new HealthStatusError(StatusCode.RESOURCE_EXHAUSTED, sentence);
    }
    return { statuses: table.list() };
  };

  const watch = async ({ service }: HealthCheckRequest, call: HealthWatchCall): Promise<void> => {
    try {
      await streamStatus(table, service, call);
    } catch (error) {
      if (!(error instanceof StatusTableFullError)) throw error;
      throw new HealthStatusError(StatusCode.RESOURCE_EXHAUSTED, error.message, { cause: error });
    }
  };

  return {
    name: "grpc.health.v1.Health",
    servesWhileDraining: true,
    methods: [
      {
        kind: "unary",
        name: "Check",
        decodeRequest: (bytes) => decoded(decodeHealthCheckRequest, bytes),
        encodeResponse: (response) => encodeHealthCheckResponse(response as HealthCheckResponse),
        handler: (request, call) => check(request as HealthCheckRequest, call),
      },
      {
        kind: "unary",
        name: "List",
        decodeRequest: (bytes) => decoded(decodeHealthListRequest, bytes),
        encodeResponse: (response) => encodeHealthListResponse(response as HealthListResponse),
        handler: list,
      },
      {
        kind: "server-streaming",
        name: "Watch",
        openEnded: true,
        decodeRequest: (bytes) => decoded(decodeHealthCheckRequest, bytes),
        encodeResponse: (response) => encodeHealthCheckResponse(response as HealthCheckResponse),
        handler: (request, call) => watch(request as HealthCheckRequest, call),
      },
    ],
  };
}

function decoded<Message>(decode: (bytes: Uint8Array) => Message, bytes: Uint8Array): Message {
  try {
    return decode(bytes);
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    throw new HealthStatusError(StatusCode.INVALID_ARGUMENT, sentence, { cause: error });
  }
}
