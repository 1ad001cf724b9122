/** The gRPC status codes that this package sends or reads (grpc/grpc, doc/statuscodes.md). */
export const StatusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/**
 * What a health handler ends a call with: a gRPC status and its sentence.
 *
 * Its `name` is "GrpcStatusError": a transport that maps errors by shape takes `code` as the grpc-status, `message` as
 * the grpc-message and `trailers` as trailing metadata, without importing this package.
 */
export class HealthStatusError extends Error {
  override readonly name = "GrpcStatusError";
  readonly code: number;
  readonly trailers: Readonly<Record<string, string>> = {};

  constructor(code: number, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
