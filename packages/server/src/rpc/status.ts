/**
 * gRPC status codes by name (grpc/grpc, doc/statuscodes.md). Only those that a server of ours sends or reads.
 */
export const StatusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusName = keyof typeof StatusCode;
export type StatusCode = (typeof StatusCode)[StatusName];

/** Trailing metadata of a status: lower-case keys, ASCII values. */
export type Trailers = Readonly<Record<string, string>>;

export interface GrpcStatusErrorOptions {
  /** Sent as trailing metadata beside the status. */
  readonly trailers?: Trailers;
  readonly cause?: unknown;
}

/**
 * The one error that crosses the border between a handler and the transport: a gRPC status with its sentence.
 *
 * A handler throws it to end a call; everything else that a handler throws is a bug of ours and becomes INTERNAL.
 */
export class GrpcStatusError extends Error {
  override readonly name = "GrpcStatusError";
  readonly code: StatusCode;
  readonly trailers: Trailers;

  constructor(code: StatusCode, details: string, options: GrpcStatusErrorOptions = {}) {
    super(details, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.trailers = options.trailers ?? {};
  }

  /** Builds the error from a code's name, which reads better at the call: `GrpcStatusError.of("NOT_FOUND", …)`. */
  static of(name: StatusName, details: string, options?: GrpcStatusErrorOptions): GrpcStatusError {
    return new GrpcStatusError(StatusCode[name], details, options);
  }
}
