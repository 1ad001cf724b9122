/**
 * `grpc.health.v1.Health` on a router of `@connectrpc/connect` 2, and so on whatever server takes one. Written against the
 * shape of its objects, so that it works with whatever copy the server is of, and brings none along.
 */

import { createHealthService, type HealthMethod, type HealthServiceOptions } from "../service.ts";
import { assertServiceName } from "../service-name.ts";
import { HealthStatusError, StatusCode } from "../status-error.ts";
import type { StatusTable } from "../status-table.ts";
import type { HealthCheckRequest } from "../wire/health-check-request.ts";
import type { HealthCheckResponse } from "../wire/health-check-response.ts";
import type { HealthListResponse } from "../wire/health-list-response.ts";
import { createHealthDescriptor, servingStatusNumber } from "./connect-descriptor.ts";
import type { HealthRegistration } from "./health-registration.ts";
import { pulledWatch } from "./pulled-watch.ts";
import { statusOf } from "./status-of.ts";
import { WatchEnding } from "./watch-ending.ts";

export type { HealthServiceOptions } from "../service.ts";
export type { HealthRegistration } from "./health-registration.ts";

/** What is needed of `ConnectRouter`. */
export interface ConnectHealthRouter {
  service(descriptor: never, implementation: never): unknown;
}

/** What is needed of `HandlerContext`. */
interface ConnectContext {
  readonly signal: AbortSignal;
  readonly responseTrailer: { set(name: string, value: string): void };
}

export interface ConnectHealthOptions extends HealthServiceOptions {
  /**
   * The service's own descriptor (protobuf-es `GenService`), for those who show it elsewhere too, in reflection say, and
   * want it to be one object. Left out, a built-in one is used, which has everything that serving needs.
   */
  readonly descriptor?: { readonly kind: "service"; readonly typeName: string };
}

/** A HealthCheckResponse as protobuf-es takes it. */
interface ResponseInit {
  readonly status: number;
}

/**
 * Adds Check, List and Watch over the table to the router, in all protocols that the router speaks. On shutdown call
 * `table.shutdown()` and then {@link HealthRegistration.endWatches}; the adapter's `shutdownSignal` ends Watches too,
 * with its reason.
 *
 * A reader that stalls has what fits into the response buffer (64 KiB in Node 22 and newer), and then finds the latest status.
 */
export function addHealthService(
  router: ConnectHealthRouter,
  table: StatusTable,
  options: ConnectHealthOptions = {},
): HealthRegistration {
  const { descriptor = createHealthDescriptor(), ...serviceOptions } = options;
  const ending = new WatchEnding();
  const { methods } = createHealthService(table, serviceOptions);
  const implementation = {
    check: async (request: HealthCheckRequest, context: ConnectContext): Promise<ResponseInit> => {
      const response = await answer(methods, "Check", checked(request), context);
      return responseInit(response as HealthCheckResponse);
    },
    list: async (_request: unknown, context: ConnectContext): Promise<{ statuses: Record<string, ResponseInit> }> => {
      const { statuses } = (await answer(methods, "List", {}, context)) as HealthListResponse;
      return { statuses: Object.fromEntries([...statuses].map(([name, status]) => [name, responseInit({ status })])) };
    },
    watch: async function* (request: HealthCheckRequest, context: ConnectContext): AsyncGenerator<ResponseInit> {
      try {
        const { service } = checked(request);
        for await (const status of pulledWatch(table, service, context.signal, ending)) yield responseInit({ status });
      } catch (thrown) {
        throw connectError(thrown);
      }
    },
  };
  router.service(descriptor as never, implementation as never);
  return { endWatches: () => ending.begin() };
}

async function answer(
  methods: readonly HealthMethod[],
  name: "Check" | "List",
  request: unknown,
  context: ConnectContext,
): Promise<unknown> {
  const method = methods.find((candidate) => candidate.name === name);
  const setTrailer = (key: string, value: string): void => context.responseTrailer.set(key, value);
  try {
    return method?.kind === "unary" && (await method.handler(request, { signal: context.signal, setTrailer }));
  } catch (thrown) {
    throw connectError(thrown);
  }
}

/** The router has decoded the request with protobuf-es; what it does not know is the bound of a name. */
function checked({ service }: HealthCheckRequest): HealthCheckRequest {
  try {
    assertServiceName(service);
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    throw connectError(new HealthStatusError(StatusCode.INVALID_ARGUMENT, sentence, { cause: error }));
  }
  return { service };
}

function responseInit({ status }: HealthCheckResponse): ResponseInit {
  return { status: servingStatusNumber[status] };
}

/**
 * A status as Connect knows it: `ConnectError` recognises those of another copy by the members that are set here
 * (connect 2.2.0, `connect-error.ts`), and its codes are gRPC's numbers. Anything else goes on as it is.
 */
function connectError(thrown: unknown): unknown {
  const status = statusOf(thrown);
  if (status === undefined) return thrown;
  const { code, message, trailers } = status;
  const members = { name: "ConnectError", code, rawMessage: message, details: [], metadata: new Headers(trailers) };
  return Object.assign(new Error(message), members, { cause: thrown });
}
