/**
 * `grpc.health.v1.Health` on a server of `nice-grpc`. Written against the shape of its objects, so that it works with
 * whatever copy and version the server is of, and brings none along.
 */

import { createHealthService, type HealthMethod, type HealthServiceOptions } from "../service.ts";
import type { StatusTable } from "../status-table.ts";
import type { HealthCheckRequest } from "../wire/health-check-request.ts";
import type { HealthCheckResponse } from "../wire/health-check-response.ts";
import type { HealthRegistration } from "./health-registration.ts";
import { pulledWatch } from "./pulled-watch.ts";
import { describeService, type GrpcMethodDefinition } from "./service-definition.ts";
import { statusOf } from "./status-of.ts";
import { WatchEnding } from "./watch-ending.ts";

export type { HealthServiceOptions } from "../service.ts";
export type { HealthRegistration } from "./health-registration.ts";
export type { GrpcMethodDefinition } from "./service-definition.ts";

/** What is needed of `Server`, and of what its `with` answers. */
export interface NiceGrpcServer {
  add(
    definition: Readonly<Record<string, GrpcMethodDefinition>>,
    implementation: Readonly<Record<string, NiceGrpcHandler>>,
  ): void;
}

export type NiceGrpcHandler = (request: Uint8Array, context: NiceGrpcContext) => unknown;

/** What is needed of `CallContext`. */
export interface NiceGrpcContext {
  readonly signal: AbortSignal;
  readonly trailer: { set(key: string, value: string): unknown };
}

/**
 * Adds Check, List and Watch over the table to the server, before `listen`. Before `server.shutdown()`, which waits for
 * every call, call `table.shutdown()` and then {@link HealthRegistration.endWatches}.
 *
 * A reader that stalls has at most the 16 statuses behind which nice-grpc waits, and then finds the latest one.
 */
export function addHealthService(
  server: NiceGrpcServer,
  table: StatusTable,
  options: HealthServiceOptions = {},
): HealthRegistration {
  const service = createHealthService(table, options);
  const ending = new WatchEnding();
  const handlers = service.methods.map((method): [string, NiceGrpcHandler] => [
    method.name,
    method.kind === "unary"
      ? (request, context) => answer(method, request, context)
      : (request, context) => watch(method, request, context, table, ending),
  ]);
  server.add(describeService(service), Object.fromEntries(handlers));
  return { endWatches: () => ending.begin() };
}

async function answer(
  method: Extract<HealthMethod, { kind: "unary" }>,
  request: Uint8Array,
  context: NiceGrpcContext,
): Promise<unknown> {
  try {
    const setTrailer = (key: string, value: string): void => void context.trailer.set(key, value);
    return await method.handler(method.decodeRequest(request), { signal: context.signal, setTrailer });
  } catch (thrown) {
    throw serverError(thrown, context);
  }
}

async function* watch(
  method: HealthMethod,
  request: Uint8Array,
  context: NiceGrpcContext,
  table: StatusTable,
  ending: WatchEnding,
): AsyncGenerator<HealthCheckResponse, void, undefined> {
  try {
    const { service } = method.decodeRequest(request) as HealthCheckRequest;
    for await (const status of pulledWatch(table, service, context.signal, ending)) yield { status };
  } catch (thrown) {
    throw serverError(thrown, context);
  }
}

/**
 * A status as nice-grpc knows it: its `ServerError` recognises those of another copy by the marks that are set here
 * (nice-grpc-common 2.0.4, `ServerError.ts`). Anything else goes on as it is, as from any handler.
 */
function serverError(thrown: unknown, { trailer }: NiceGrpcContext): unknown {
  const status = statusOf(thrown);
  if (status === undefined) return thrown;
  for (const [key, value] of Object.entries(status.trailers)) trailer.set(key, value);
  const error = new Error(status.message, { cause: thrown });
  const marks = { name: "ServerError", "@@nice-grpc": true, "@@nice-grpc:ServerError": true };
  return Object.assign(error, marks, { code: status.code, details: status.message });
}
