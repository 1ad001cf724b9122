import type { HealthMethod, HealthService } from "../service.ts";

/** One method as grpc-js describes it (`MethodDefinition`), with the codec that a server uses and a client does not. */
export interface GrpcMethodDefinition {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Uint8Array) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Uint8Array;
  readonly responseSerialize: (value: unknown) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Uint8Array;
}

/**
 * Describes the service for a server of grpc-js's family. Requests reach the handler as bytes: a deserializer that
 * throws is answered INTERNAL without a word about the field, and the handler can say INVALID_ARGUMENT with one.
 */
export function describeService(service: HealthService): Readonly<Record<string, GrpcMethodDefinition>> {
  return Object.fromEntries(service.methods.map((method) => [method.name, describeMethod(service.name, method)]));
}

function describeMethod(serviceName: string, method: HealthMethod): GrpcMethodDefinition {
  return {
    path: `/${serviceName}/${method.name}`,
    requestStream: false,
    responseStream: method.kind === "server-streaming",
    requestSerialize: asBuffer,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: (value) => asBuffer(method.encodeResponse(value)),
    responseDeserialize: (bytes) => bytes,
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
