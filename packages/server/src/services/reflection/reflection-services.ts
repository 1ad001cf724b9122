import { fileDescriptors } from "../../generated/descriptors.ts";
import {
  type ServerReflectionResponse as Response,
  ServerReflectionRequest,
  ServerReflectionResponse,
} from "../../generated/grpc/reflection/v1/reflection.ts";
import type { BidiStreamingCall } from "../../rpc/call.ts";
import { bidiStreaming, type Service } from "../../rpc/service.ts";
import { GrpcStatusError, StatusCode } from "../../rpc/status.ts";
import { type DescriptorFile, DescriptorIndex } from "./descriptor-index.ts";

/** Wire names of the two versions. Their messages are the same, field by field, so one handler serves both. */
export const reflectionServiceNames = [
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
] as const;

type Answer = Response["messageResponse"];

const maxEchoedNameLength = 200;

/**
 * Server reflection v1 and v1alpha (grpc/grpc, doc/server-reflection.md) over the descriptors that were compiled from
 * `proto/`. `registeredServiceNames` is asked at each `list_services` and should name the reflection services too.
 *
 * Where the protocol leaves a choice it does as grpc-go (reflection/internal/reflection.go): a file comes with all its
 * imports, those that went out on the same stream before are left out, and a request that asks nothing ends the
 * stream INVALID_ARGUMENT.
 */
export function createReflectionServices(registeredServiceNames: () => readonly string[]): Service[] {
  const index = new DescriptorIndex(fileDescriptors);
  const info = bidiStreaming<ServerReflectionRequest, Response>(
    "ServerReflectionInfo",
    ServerReflectionRequest,
    ServerReflectionResponse,
    (call) => answerAll(call, index, registeredServiceNames),
    // A client may keep its stream open between questions for as long as it likes.
    { openEnded: true },
  );
  return reflectionServiceNames.map((name) => ({ name, methods: [info] }));
}

async function answerAll(
  call: BidiStreamingCall<ServerReflectionRequest, Response>,
  index: DescriptorIndex,
  registeredServiceNames: () => readonly string[],
): Promise<void> {
  const sent = new Set<DescriptorFile>();
  for await (const request of call.requests) {
    const messageResponse = answer(request, index, sent, registeredServiceNames);
    if (!call.write({ validHost: request.host, originalRequest: request, messageResponse })) await call.drained();
  }
}

function answer(
  { messageRequest: asked }: ServerReflectionRequest,
  index: DescriptorIndex,
  sent: Set<DescriptorFile>,
  registeredServiceNames: () => readonly string[],
): Answer {
  switch (asked?.$case) {
    case "fileByFilename":
      return files(index, index.file(asked.value), sent) ?? notFound("file", asked.value);
    case "fileContainingSymbol":
      return files(index, index.fileOfSymbol(asked.value), sent) ?? notFound("symbol", asked.value);
    case "fileContainingExtension":
      // proto3 files of ours define no extensions.
      return notFound("extension", `${asked.value.containingType}:${asked.value.extensionNumber}`);
    case "allExtensionNumbersOfType":
      return index.isMessage(asked.value)
        ? { $case: "allExtensionNumbersResponse", value: { baseTypeName: asked.value, extensionNumber: [] } }
        : notFound("message type", asked.value);
    case "listServices": {
      const names = [...new Set(registeredServiceNames())].sort();
      return { $case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } };
    }
    case undefined:
      throw GrpcStatusError.of("INVALID_ARGUMENT", "message_request is not set; set one of its fields");
  }
}

/** The file itself always goes out, its imports once per stream. */
function files(index: DescriptorIndex, file: DescriptorFile | undefined, sent: Set<DescriptorFile>): Answer {
  if (file === undefined) return undefined;
  const needed = index.withImports(file).filter((one) => one === file || !sent.has(one));
  for (const one of needed) sent.add(one);
  return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: needed.map((one) => one.bytes) } };
}

function notFound(kind: string, name: string): Answer {
  const shown = name.length > maxEchoedNameLength ? `${name.slice(0, maxEchoedNameLength)}…` : name;
  return {
    $case: "errorResponse",
    value: { errorCode: StatusCode.NOT_FOUND, errorMessage: `no ${kind} "${shown}" is served here` },
  };
}
