import { setTimeout as sleep } from "node:timers/promises";
import { type Call, GrpcStatusError, type Method, type Service, type StatusCode } from "@tokenwire/grpc";
import {
  bytesField,
  bytesOf,
  type Fields,
  messageOf,
  numberOf,
  readFields,
  stringsOf,
  varintField,
} from "./protobuf.ts";

const codec: Pick<Method, "decodeRequest" | "encodeResponse"> = {
  decodeRequest: (bytes): Fields => readFields(bytes),
  encodeResponse: (bytes) => bytes as Uint8Array,
};

const unaryCall = async (message: unknown, call: Call): Promise<Uint8Array> => {
  const request = message as Fields;
  echoMetadata(call);
  throwStatus(request);
  const parts = [bytesField(1, payload(numberOf(request, 2)))];
  if (numberOf(request, 9) !== 0) parts.push(bytesField(4, `tokenwire-${process.pid}`));
  return Buffer.concat(parts);
};

/**
 * grpc.testing.TestService as grpc/grpc, doc/interop-test-descriptions.md asks for it (messages: grpc-proto,
 * grpc/testing/messages.proto). UnimplementedCall is left out, because the suite wants it so.
 */
export const interopService: Service = {
  name: "grpc.testing.TestService",
  methods: [
    {
      kind: "unary",
      name: "EmptyCall",
      ...codec,
      handler: (_request, call) => {
        echoMetadata(call);
        return empty;
      },
    },
    { kind: "unary", name: "UnaryCall", ...codec, handler: unaryCall },
    { kind: "unary", name: "CacheableUnaryCall", ...codec, handler: unaryCall },
    {
      kind: "server-streaming",
      name: "StreamingOutputCall",
      ...codec,
      handler: async (request, call) => {
        await output(request as Fields, call, call.write.bind(call));
      },
    },
    {
      kind: "client-streaming",
      name: "StreamingInputCall",
      ...codec,
      handler: async (call) => {
        let bytes = 0;
        for await (const request of call.requests) bytes += bodyBytes(request as Fields);
        return varintField(1, bytes);
      },
    },
    {
      kind: "bidi-streaming",
      name: "FullDuplexCall",
      ...codec,
      handler: async (call) => {
        echoMetadata(call);
        for await (const request of call.requests) {
          throwStatus(request as Fields);
          await output(request as Fields, call, call.write.bind(call));
        }
      },
    },
    {
      kind: "bidi-streaming",
      name: "HalfDuplexCall",
      ...codec,
      handler: async (call) => {
        const requests: Fields[] = [];
        for await (const request of call.requests) requests.push(request as Fields);
        for (const request of requests) await output(request, call, call.write.bind(call));
      },
    },
  ],
};

const empty = new Uint8Array();

async function output(request: Fields, call: Call, write: (bytes: Uint8Array) => boolean): Promise<void> {
  for (const bytes of bytesOf(request, 2)) {
    const wanted = readFields(bytes);
    await sleep(numberOf(wanted, 2) / 1000);
    if (call.signal.aborted) return;
    write(bytesField(1, payload(numberOf(wanted, 1))));
  }
}

function payload(bytes: number): Buffer {
  return bytesField(2, Buffer.alloc(bytes));
}

function bodyBytes(request: Fields): number {
  const body = messageOf(request, 1);
  return body === undefined ? 0 : (bytesOf(body, 2)[0]?.length ?? 0);
}

function throwStatus(request: Fields): void {
  const status = messageOf(request, 7);
  if (status === undefined) return;
  throw new GrpcStatusError(numberOf(status, 1) as StatusCode, stringsOf(status, 2)[0] ?? "");
}

function echoMetadata(call: Call): void {
  const initial = call.metadata.get("x-grpc-test-echo-initial");
  if (initial !== undefined) call.setHeader("x-grpc-test-echo-initial", initial);
  const trailing = call.metadata.getBinary("x-grpc-test-echo-trailing-bin")[0];
  if (trailing !== undefined) call.setTrailer("x-grpc-test-echo-trailing-bin", trailing);
}
