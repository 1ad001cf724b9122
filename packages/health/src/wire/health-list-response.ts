import type { ServingStatus } from "../serving-status.ts";
import { encodeHealthCheckResponse, mergeStatus } from "./health-check-response.ts";
import { ProtobufReader, WireType } from "./protobuf-reader.ts";
import { lengthDelimited } from "./protobuf-writer.ts";

/** `grpc.health.v1.HealthListResponse`: 1 map<string, HealthCheckResponse> statuses. */
export interface HealthListResponse {
  readonly statuses: ReadonlyMap<string, ServingStatus>;
}

/** A map is a repeated message of 1 key, 2 value (protobuf.dev, "Maps"). */
export function encodeHealthListResponse(response: HealthListResponse): Uint8Array {
  const entries: Uint8Array[] = [];
  for (const [service, status] of response.statuses) {
    const key = lengthDelimited(1, Buffer.from(service));
    const value = lengthDelimited(2, encodeHealthCheckResponse({ status }));
    entries.push(lengthDelimited(1, Buffer.concat([key, value])));
  }
  return Buffer.concat(entries);
}

/** Throws `WireError` on malformed bytes and invalid UTF-8. Of two entries with one key the last holds. */
export function decodeHealthListResponse(bytes: Uint8Array): HealthListResponse {
  const reader = new ProtobufReader(bytes, "HealthListResponse");
  const statuses = new Map<string, ServingStatus>();
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.number === 1 && field.wireType === WireType.LENGTH_DELIMITED) {
      const [service, status] = decodeEntry(reader.bytes());
      statuses.set(service, status);
    } else reader.skip(field);
  }
  return { statuses };
}

function decodeEntry(bytes: Uint8Array): [string, ServingStatus] {
  const reader = new ProtobufReader(bytes, "HealthListResponse.statuses");
  let service = "";
  let status: ServingStatus = "UNKNOWN";
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.wireType === WireType.LENGTH_DELIMITED && field.number === 1) service = reader.string("key");
    else if (field.wireType === WireType.LENGTH_DELIMITED && field.number === 2) {
      status = mergeStatus(reader.bytes(), status);
    } else reader.skip(field);
  }
  return [service, status];
}
