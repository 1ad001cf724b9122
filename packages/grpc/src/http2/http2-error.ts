import { ErrorCode, type ErrorName } from "./error-code.ts";

/**
 * A peer broke the protocol or a bound, and the whole connection ends with it (RFC 9113 section 5.4.1). What ends one
 * stream alone is answered with RST_STREAM where it is found and is never thrown.
 */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  /** The name of the error code that goes into GOAWAY. */
  readonly code: ErrorName;

  constructor(code: ErrorName, message: string) {
    super(message);
    this.code = code;
  }

  /** The error code as GOAWAY carries it. */
  get wireCode(): ErrorCode {
    return ErrorCode[this.code];
  }
}
