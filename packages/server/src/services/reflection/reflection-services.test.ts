import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import {
  create,
  createFileRegistry,
  type DescService,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Client, type ClientDuplexStream, credentials, status } from "@grpc/grpc-js";
import { fileDescriptors } from "../../generated/descriptors.ts";
import { HealthListResponse } from "../../generated/grpc/health/v1/health.ts";
import { ServerReflectionRequest, ServerReflectionResponse } from "../../generated/grpc/reflection/v1/reflection.ts";
import { createLog } from "../../operations/log.ts";
import { createRpcServer } from "../../transport/tokenwire-grpc/rpc-server.ts";
import { DescriptorIndex } from "./descriptor-index.ts";
import { createReflectionServices, reflectionServiceNames } from "./reflection-services.ts";

type Question = ServerReflectionRequest["messageRequest"];

const registered = ["vllm.grpc.engine.VllmEngine", "grpc.health.v1.Health", ...reflectionServiceNames];

/** Asks over a real connection, one question after the other on one stream. */
async function connect(t: TestContext, service: string = reflectionServiceNames[0]) {
  const server = createRpcServer({ log: createLog("silent") });
  for (const reflection of createReflectionServices(() => registered)) server.register(reflection);
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream: ClientDuplexStream<ServerReflectionRequest, ServerReflectionResponse> = client.makeBidiStreamRequest(
    `/${service}/ServerReflectionInfo`,
    (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
    (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
  );
  t.after(async () => {
    stream.on("error", () => undefined);
    stream.cancel();
    client.close();
    await server.close("the test is over");
  });
  const ask = async (messageRequest: Question): Promise<ServerReflectionResponse> => {
    stream.write({ host: "a.host", messageRequest });
    const [response] = await once(stream, "data");
    return response;
  };
  return { ask, stream };
}

function protosOf(response: ServerReflectionResponse): FileDescriptorProto[] {
  assert.equal(response.messageResponse?.$case, "fileDescriptorResponse");
  return response.messageResponse.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

function registryOf(protos: FileDescriptorProto[]): FileRegistry {
  return createFileRegistry(create(FileDescriptorSetSchema, { file: protos.toReversed() }));
}

describe("server reflection", () => {
  for (const name of reflectionServiceNames) {
    it(`lists the registered services, sorted, over ${name}`, async (t) => {
      const { ask } = await connect(t, name);
      const response = await ask({ $case: "listServices", value: "" });
      assert.equal(response.messageResponse?.$case, "listServicesResponse");
      assert.deepEqual(
        response.messageResponse.value.service.map((service) => service.name),
        [
          "grpc.health.v1.Health",
          "grpc.reflection.v1.ServerReflection",
          "grpc.reflection.v1alpha.ServerReflection",
          "vllm.grpc.engine.VllmEngine",
        ],
      );
    });
  }

  it("echoes the host and the request", async (t) => {
    const { ask } = await connect(t);
    const response = await ask({ $case: "fileByFilename", value: "common.proto" });
    assert.equal(response.validHost, "a.host");
    assert.deepEqual(response.originalRequest, {
      host: "a.host",
      messageRequest: { $case: "fileByFilename", value: "common.proto" },
    });
  });

  it("describes every registered service so that a strict registry takes it", async (t) => {
    for (const name of registered) {
      const { ask } = await connect(t);
      const protos = protosOf(await ask({ $case: "fileContainingSymbol", value: name }));
      const service: DescService | undefined = registryOf(protos).getService(name);
      assert.ok(service, name);
      assert.ok(service.methods.length > 0);
    }
  });

  it("gives a true map entry for HealthListResponse.statuses: bytes of the generated codec read back by the descriptor", async (t) => {
    const { ask } = await connect(t);
    const protos = protosOf(await ask({ $case: "fileContainingSymbol", value: "grpc.health.v1.HealthListResponse" }));
    const message = registryOf(protos).getMessage("grpc.health.v1.HealthListResponse");
    assert.ok(message);
    const [statuses] = message.fields;
    assert.equal(statuses?.fieldKind, "map");
    const entry = protos[0]?.messageType.find((type) => type.name === "HealthListResponse")?.nestedType[0];
    assert.deepEqual([entry?.name, entry?.options?.mapEntry], ["StatusesEntry", true]);
    const bytes = HealthListResponse.encode({ statuses: { ready: { status: 2 } } }).finish();
    assert.deepEqual(toBinary(message, fromBinary(message, bytes)), new Uint8Array(bytes));
  });

  it("sends a file with all its imports, and imports only once per stream", async (t) => {
    const { ask } = await connect(t);
    const names = async (question: Question): Promise<string[]> =>
      protosOf(await ask(question)).map((file) => file.name);
    const engine: Question = { $case: "fileContainingSymbol", value: "vllm.grpc.engine.VllmEngine.Generate" };
    assert.deepEqual(await names(engine), ["vllm_engine.proto", "common.proto"]);
    assert.deepEqual(await names(engine), ["vllm_engine.proto"]);
    assert.deepEqual(await names({ $case: "fileByFilename", value: "common.proto" }), ["common.proto"]);
  });

  it("carries no source info", async (t) => {
    const { ask } = await connect(t);
    for (const name of Object.keys(fileDescriptors)) {
      const [proto] = protosOf(await ask({ $case: "fileByFilename", value: name }));
      assert.equal(proto?.name, name);
      assert.equal(proto?.sourceCodeInfo, undefined);
    }
  });

  it("answers NOT_FOUND inside the stream to what is not there, and goes on", async (t) => {
    const { ask } = await connect(t);
    const questions: Question[] = [
      { $case: "fileByFilename", value: "no/such.proto" },
      { $case: "fileContainingSymbol", value: "no.such.Symbol" },
      { $case: "fileContainingSymbol", value: "" },
      { $case: "fileContainingSymbol", value: "x".repeat(100_000) },
      { $case: "fileContainingExtension", value: { containingType: "a.B", extensionNumber: 7 } },
      { $case: "allExtensionNumbersOfType", value: "no.such.Type" },
    ];
    for (const question of questions) {
      const { messageResponse } = await ask(question);
      assert.equal(messageResponse?.$case, "errorResponse");
      assert.equal(messageResponse.value.errorCode, status.NOT_FOUND);
      assert.ok(messageResponse.value.errorMessage.length < 300);
    }
  });

  it("knows no extensions of a message that exists", async (t) => {
    const { ask } = await connect(t);
    const value = "grpc.health.v1.HealthListResponse";
    const { messageResponse } = await ask({ $case: "allExtensionNumbersOfType", value });
    assert.deepEqual(messageResponse, {
      $case: "allExtensionNumbersResponse",
      value: { baseTypeName: value, extensionNumber: [] },
    });
  });

  it("ends the stream INVALID_ARGUMENT when a request asks nothing", async (t) => {
    const { stream } = await connect(t);
    stream.resume();
    stream.write({ host: "", messageRequest: undefined });
    const [error] = await once(stream, "error");
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.match(error.details, /message_request is not set/);
  });
});

describe("the descriptor index", () => {
  it("finds services, methods, messages, nested messages, fields, oneofs, enums and their values", () => {
    const index = new DescriptorIndex(fileDescriptors);
    const homes = {
      "grpc.health.v1.Health": "grpc/health/v1/health.proto",
      "grpc.health.v1.Health.Watch": "grpc/health/v1/health.proto",
      "grpc.health.v1.HealthListResponse.StatusesEntry": "grpc/health/v1/health.proto",
      "grpc.health.v1.HealthCheckResponse.ServingStatus": "grpc/health/v1/health.proto",
      "grpc.health.v1.HealthCheckResponse.SERVING": "grpc/health/v1/health.proto",
      "vllm.grpc.engine.SamplingParams.top_p": "vllm_engine.proto",
      "vllm.grpc.engine.SamplingParams.constraint": "vllm_engine.proto",
      "smg.grpc.common.KvCacheTier": "common.proto",
      "smg.grpc.common.KV_CACHE_TIER_HOST": "common.proto",
    };
    for (const [symbol, file] of Object.entries(homes)) assert.equal(index.fileOfSymbol(symbol)?.name, file, symbol);
    assert.equal(index.fileOfSymbol(".grpc.health.v1.Health"), undefined);
    assert.equal(index.fileOfSymbol("constructor"), undefined);
  });
});
