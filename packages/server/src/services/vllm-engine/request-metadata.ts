import type { Call } from "../../rpc/call.ts";
import { refuse } from "./validate/refuse.ts";

/** Metadata that GenerateRequest has no field for: `tokenwire-priority` is vLLM's `priority`, smaller is served first. */
const priorityKey = "tokenwire-priority";
/** W3C Trace Context; the engine's spans hang below the caller's. */
const traceKeys = ["traceparent", "tracestate"] as const;
/** W3C Trace Context asks for at least 512 characters of tracestate; a longer one is dropped, not cut. */
const longestTraceHeader = 8192;

/**
 * The priority that the caller gave the request, an int32; undefined when it gave none.
 *
 * @throws GrpcStatusError INVALID_ARGUMENT when it is no int32.
 */
export function priorityOf(call: Pick<Call, "metadata">): number | undefined {
  const text = call.metadata.get(priorityKey);
  if (text === undefined) return undefined;
  const priority = Number(text);
  // -2147483648 is ten digits after its sign.
  if (!/^-?\d{1,10}$/.test(text) || (priority | 0) !== priority) {
    refuse(`metadata ${priorityKey}`, "not an int32", text, "a whole number from -2147483648 to 2147483647");
  }
  return priority;
}

/** The caller's trace context; undefined when the call carries none. */
export function traceHeadersOf(call: Pick<Call, "metadata">): Readonly<Record<string, string>> | undefined {
  let headers: Record<string, string> | undefined;
  for (const key of traceKeys) {
    const value = call.metadata.get(key);
    if (value === undefined || value.length > longestTraceHeader) continue;
    headers ??= {};
    headers[key] = value;
  }
  return headers;
}
