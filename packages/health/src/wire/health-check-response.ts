import type { ServingStatus } from "../serving-status.ts";
import { ProtobufReader, WireType } from "./protobuf-reader.ts";

/** `grpc.health.v1.HealthCheckResponse`: 1 enum ServingStatus status. */
export interface HealthCheckResponse {
  readonly status: ServingStatus;
}

const statusNames = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] as const satisfies ServingStatus[];

// There are four messages in all, so each is written once.
const encoded: Readonly<Record<ServingStatus, Uint8Array>> = {
  UNKNOWN: new Uint8Array(0),
  SERVING: Uint8Array.of(0x08, 1),
  NOT_SERVING: Uint8Array.of(0x08, 2),
  SERVICE_UNKNOWN: Uint8Array.of(0x08, 3),
};

/** The answer is shared by all callers: do not write to it. */
export function encodeHealthCheckResponse(response: HealthCheckResponse): Uint8Array {
  return encoded[response.status];
}

/** A status number that health.proto does not have reads as UNKNOWN. Throws `WireError` on malformed bytes. */
export function decodeHealthCheckResponse(bytes: Uint8Array): HealthCheckResponse {
  return { status: mergeStatus(bytes, "UNKNOWN") };
}

/** Reads a response over an earlier one: a message that stands twice in a field is merged, not replaced. */
export function mergeStatus(bytes: Uint8Array, earlier: ServingStatus): ServingStatus {
  const reader = new ProtobufReader(bytes, "HealthCheckResponse");
  let status = earlier;
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.number === 1 && field.wireType === WireType.VARINT) {
      status = statusNames[reader.int32()] ?? "UNKNOWN";
    } else reader.skip(field);
  }
  return status;
}
