import type { Method } from "./service.ts";
import { GrpcStatusError } from "./status.ts";

/**
 * Reads a request message. Throws INVALID_ARGUMENT for bytes that are none, or the status that the method's decoder
 * throws itself.
 */
export function decodeRequest(method: Method, bytes: Uint8Array): unknown {
  try {
    return method.decodeRequest(bytes);
  } catch (thrown) {
    const status = GrpcStatusError.from(thrown);
    if (status !== undefined) throw status;
    const problem = thrown instanceof Error ? thrown.message : String(thrown);
    throw GrpcStatusError.of("INVALID_ARGUMENT", `the request is not a valid message: ${problem}`, { cause: thrown });
  }
}
