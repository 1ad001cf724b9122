/**
 * What went wrong, in the words of the engine contract. Each kind has one gRPC status (services map it, nobody else):
 *
 * | kind | status | meaning |
 * | --- | --- | --- |
 * | invalid-argument | INVALID_ARGUMENT | the request is wrong; `field` names the proto field |
 * | failed-precondition | FAILED_PRECONDITION | right request, but this model or setting cannot serve it |
 * | resource-exhausted | RESOURCE_EXHAUSTED | a bound is reached; the same request may pass later |
 * | unavailable | UNAVAILABLE | the engine is starting, dead or closing; another replica could answer |
 * | unimplemented | UNIMPLEMENTED | this engine does not have the feature |
 * | internal | INTERNAL | our bug |
 */
export type EngineErrorKind =
  | "invalid-argument"
  | "failed-precondition"
  | "resource-exhausted"
  | "unavailable"
  | "unimplemented"
  | "internal";

export interface EngineErrorOptions {
  /** The proto field at fault, as on the wire: `sampling_params.top_p`. */
  readonly field?: string;
  readonly cause?: unknown;
}

/** The one error of the engine contract. `message` is a sentence for the client. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly kind: EngineErrorKind;
  readonly field: string | undefined;

  constructor(kind: EngineErrorKind, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.field = options.field;
  }

  /** Keeps an EngineError as it is and makes anything else `internal`, with the original as cause. */
  static from(thrown: unknown): EngineError {
    if (thrown instanceof EngineError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new EngineError("internal", message, { cause: thrown });
  }
}
