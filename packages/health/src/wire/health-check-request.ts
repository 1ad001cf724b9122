import { assertServiceName, maxServiceNameBytes } from "../service-name.ts";
import { ProtobufReader, WireType } from "./protobuf-reader.ts";
import { lengthDelimited } from "./protobuf-writer.ts";
import { WireError } from "./wire-error.ts";

/** `grpc.health.v1.HealthCheckRequest`: 1 string service. */
export interface HealthCheckRequest {
  /** Empty asks for the whole server. */
  readonly service: string;
}

/** What most ask for. */
const wholeServer: HealthCheckRequest = Object.freeze({ service: "" });

/** Throws a RangeError for a name over 1024 bytes or not valid Unicode. */
export function encodeHealthCheckRequest(request: HealthCheckRequest): Uint8Array {
  assertServiceName(request.service);
  return request.service === "" ? new Uint8Array(0) : lengthDelimited(1, Buffer.from(request.service));
}

/** Throws {@link WireError} on malformed bytes, invalid UTF-8 and a name over 1024 bytes. Unknown fields are skipped. */
export function decodeHealthCheckRequest(bytes: Uint8Array): HealthCheckRequest {
  if (bytes.length === 0) return wholeServer;
  const reader = new ProtobufReader(bytes, "HealthCheckRequest");
  let service = "";
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) {
    if (field.number === 1 && field.wireType === WireType.LENGTH_DELIMITED) {
      service = reader.string("service");
    } else reader.skip(field);
  }
  const nameBytes = Buffer.byteLength(service);
  if (nameBytes > maxServiceNameBytes) {
    throw new WireError(`HealthCheckRequest.service: ${nameBytes} bytes, at most ${maxServiceNameBytes} are allowed`);
  }
  return { service };
}

/** `grpc.health.v1.HealthListRequest` has no fields; throws {@link WireError} when the bytes are no message at all. */
export function decodeHealthListRequest(bytes: Uint8Array): Record<string, never> {
  const reader = new ProtobufReader(bytes, "HealthListRequest");
  for (let field = reader.nextField(); field !== undefined; field = reader.nextField()) reader.skip(field);
  return {};
}
