import { GrpcStatusError } from "./status.ts";

/** How a call ends whose deadline has passed. */
export function deadlineExceeded(): GrpcStatusError {
  return GrpcStatusError.of("DEADLINE_EXCEEDED", "the deadline of the call has passed");
}

/** How a call ends whose request came too slowly. */
export function requestTimedOut(): GrpcStatusError {
  return GrpcStatusError.of("DEADLINE_EXCEEDED", "the request took longer to come than the server waits");
}

/** How a call ends whose client has left. */
export function cancelled(): GrpcStatusError {
  return GrpcStatusError.of("CANCELLED", "the client cancelled the call or its connection broke");
}
