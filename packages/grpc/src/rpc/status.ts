/** gRPC status codes by name (grpc/grpc, doc/statuscodes.md). */
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

/**
 * Metadata as a handler writes it: lower-case keys, ASCII strings, and bytes for keys that end in `-bin`. An array
 * sends the key several times.
 */
export type MetadataRecord = Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;
export type MetadataValue = string | Uint8Array;

export interface GrpcStatusErrorOptions {
  /** Sent as trailing metadata beside the status; rich details go under `grpc-status-details-bin`. */
  readonly trailers?: MetadataRecord;
  readonly cause?: unknown;
}

/**
 * The one error that ends a call with a status of the handler's choice. Whatever else a handler throws is a bug of the
 * handler and becomes INTERNAL. An error of another class counts as one of these when it has this name and a code.
 */
export class GrpcStatusError extends Error {
  override readonly name = "GrpcStatusError";
  readonly code: StatusCode;
  readonly trailers: MetadataRecord;

  constructor(code: StatusCode, details: string, options: GrpcStatusErrorOptions = {}) {
    super(details, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.trailers = options.trailers ?? {};
  }

  /** Builds the error from a code's name: `GrpcStatusError.of("NOT_FOUND", …)`. */
  static of(name: StatusName, details: string, options?: GrpcStatusErrorOptions): GrpcStatusError {
    return new GrpcStatusError(StatusCode[name], details, options);
  }

  /** Reads a status out of anything thrown; undefined when there is none in it. */
  static from(thrown: unknown): GrpcStatusError | undefined {
    if (thrown instanceof GrpcStatusError) return thrown;
    if (!(thrown instanceof Error) || thrown.name !== "GrpcStatusError" || !("code" in thrown)) return undefined;
    const code = Object.values(StatusCode).find((known) => known === thrown.code);
    if (code === undefined) return undefined;
    const trailers = "trailers" in thrown && typeof thrown.trailers === "object" ? thrown.trailers : undefined;
    return new GrpcStatusError(code, thrown.message, { trailers: (trailers ?? {}) as MetadataRecord, cause: thrown });
  }
}
