/**
 * `grpc.health.v1.Health` on a server of `@grpc/grpc-js`. Written against the shape of its objects, so that it works with
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

/** What is needed of `Server`. */
export interface GrpcJsServer {
  addService(
    definition: Readonly<Record<string, GrpcMethodDefinition>>,
    implementation: Readonly<Record<string, GrpcJsHandler>>,
  ): void;
}

/** A handler as grpc-js calls it; a streaming one gets no callback. */
export type GrpcJsHandler = (call: GrpcJsCall, callback: GrpcJsCallback) => void;

/** What is needed of `Metadata`. */
export interface GrpcJsMetadata {
  clone(): GrpcJsMetadata;
  getMap(): Readonly<Record<string, unknown>>;
  remove(key: string): void;
  set(key: string, value: string): void;
}

/** What is needed of a call: of `ServerUnaryCall`, and for Watch of `ServerWritableStream`. */
export interface GrpcJsCall {
  readonly request: Uint8Array;
  readonly metadata: GrpcJsMetadata;
  readonly cancelled: boolean;
  once(event: "cancelled", listener: () => void): unknown;
  /** Only of a stream. */
  write?(message: HealthCheckResponse, flushed: () => void): boolean;
  /** Only of a stream: `error` ends it with the status that is emitted. */
  emit?(event: "error", status: GrpcJsStatus | Error): boolean;
}

export interface GrpcJsStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: GrpcJsMetadata;
}

/**
 * `sendUnaryData`. Error and trailers are what grpc-js takes there; its `Metadata` is a class, which no type of ours can
 * be, although our objects come from it.
 */
export type GrpcJsCallback = (error: never, response?: unknown, trailers?: never) => void;

/**
 * Adds Check, List and Watch over the table to the server. Before `server.tryShutdown()`, which waits for every call,
 * call `table.shutdown()` and then {@link HealthRegistration.endWatches}.
 *
 * Watch hands grpc-js one message at a time and the next one when that is flushed: a reader that stalls finds the latest
 * status behind one message, and costs no queue. Throws what `addService` throws, when Health is there already.
 */
export function addHealthService(
  server: GrpcJsServer,
  table: StatusTable,
  options: HealthServiceOptions = {},
): HealthRegistration {
  const service = createHealthService(table, options);
  const ending = new WatchEnding();
  const handlers = service.methods.map((method): [string, GrpcJsHandler] => [
    method.name,
    method.kind === "unary"
      ? (call, callback) => void answer(method, call, callback)
      : (call) => void watch(method, call, table, ending),
  ]);
  server.addService(describeService(service), Object.fromEntries(handlers));
  return { endWatches: () => ending.begin() };
}

async function answer(
  method: Extract<HealthMethod, { kind: "unary" }>,
  call: GrpcJsCall,
  callback: GrpcJsCallback,
): Promise<void> {
  const trailers = emptyMetadata(call);
  const setTrailer = (key: string, value: string): void => trailers.set(key, value);
  let response: unknown;
  try {
    response = await method.handler(method.decodeRequest(call.request), { signal: signalOf(call), setTrailer });
  } catch (thrown) {
    callback(wireStatus(thrown, call) as never);
    return;
  }
  callback(null as never, response, trailers as never);
}

/** Runs one Watch to its end; never rejects. */
async function watch(
  method: Extract<HealthMethod, { kind: "server-streaming" }>,
  call: GrpcJsCall,
  table: StatusTable,
  ending: WatchEnding,
): Promise<void> {
  const over = signalOf(call);
  try {
    const { service } = method.decodeRequest(call.request) as HealthCheckRequest;
    for await (const status of pulledWatch(table, service, over, ending)) await flushed(call, { status }, over);
  } catch (thrown) {
    if (!over.aborted) call.emit?.("error", wireStatus(thrown, call));
  }
}

/** Resolves when the message is on its way to the client, or nobody reads it any more. */
function flushed(call: GrpcJsCall, response: HealthCheckResponse, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      over.removeEventListener("abort", done);
      resolve();
    };
    over.addEventListener("abort", done);
    call.write?.(response, done);
  });
}

/** Fires when the client is gone or its deadline has passed. */
function signalOf(call: GrpcJsCall): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  else call.once("cancelled", () => controller.abort());
  return controller.signal;
}

function wireStatus(thrown: unknown, call: GrpcJsCall): GrpcJsStatus | Error {
  const status = statusOf(thrown);
  if (status === undefined) return thrown instanceof Error ? thrown : new Error(String(thrown));
  const metadata = emptyMetadata(call);
  for (const [key, value] of Object.entries(status.trailers)) metadata.set(key, value);
  return { code: status.code, details: status.message, metadata };
}

/** Of the very class that the server's copy of grpc-js takes, without importing one. */
function emptyMetadata(call: GrpcJsCall): GrpcJsMetadata {
  const metadata = call.metadata.clone();
  for (const key of Object.keys(metadata.getMap())) metadata.remove(key);
  return metadata;
}
