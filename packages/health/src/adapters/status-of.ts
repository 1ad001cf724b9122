import { HealthStatusError, StatusCode } from "../status-error.ts";
import { StatusTableFullError } from "../status-table.ts";

/** A gRPC status that a handler ended a call with. */
export interface CallStatus {
  readonly code: number;
  readonly message: string;
  readonly trailers: Readonly<Record<string, string>>;
}

/**
 * The status in what a handler threw, or undefined when it is no status but a fault, which each library answers in its
 * own way. Read by shape, as transports read {@link HealthStatusError}: `beforeCheck` may throw another copy's.
 */
export function statusOf(thrown: unknown): CallStatus | undefined {
  if (thrown instanceof StatusTableFullError) {
    return { code: StatusCode.RESOURCE_EXHAUSTED, message: thrown.message, trailers: {} };
  }
  if (!(thrown instanceof Error) || thrown.name !== "GrpcStatusError" || !("code" in thrown)) return undefined;
  const { code, message } = thrown;
  if (typeof code !== "number" || !Number.isInteger(code) || code < 1 || code > 16) return undefined;
  return { code, message, trailers: trailersOf(thrown) };
}

function trailersOf(thrown: Error): Readonly<Record<string, string>> {
  const given: unknown = "trailers" in thrown ? thrown.trailers : undefined;
  if (typeof given !== "object" || given === null) return {};
  return Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === "string"));
}

/** How a Watch ends when the server does: a client that hears it asks again, after a pause, and finds another server. */
export function serverShutsDown(): HealthStatusError {
  return new HealthStatusError(StatusCode.UNAVAILABLE, "The server is shutting down");
}
