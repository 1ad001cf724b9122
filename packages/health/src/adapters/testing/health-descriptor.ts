import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createFileRegistry, fromBinary, type Message } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

type Request = Message<"grpc.health.v1.HealthCheckRequest"> & { service: string };
type Response = Message<"grpc.health.v1.HealthCheckResponse"> & { status: number };
type ListRequest = Message<"grpc.health.v1.HealthListRequest">;
type ListResponse = Message<"grpc.health.v1.HealthListResponse"> & { statuses: Record<string, Response> };

type HealthService = GenService<{
  check: { methodKind: "unary"; input: GenMessage<Request>; output: GenMessage<Response> };
  list: { methodKind: "unary"; input: GenMessage<ListRequest>; output: GenMessage<ListResponse> };
  watch: { methodKind: "server_streaming"; input: GenMessage<Request>; output: GenMessage<Response> };
}>;

/** `grpc.health.v1.Health` as buf compiles it from health.proto and protobuf-es describes it. */
export function healthDescriptor(): HealthService {
  const root = fileURLToPath(new URL("../../../../../", import.meta.url));
  const words = ["build", "proto", "--path", "proto/grpc/health/v1/health.proto", "--output", "-"];
  const image = execFileSync(`${root}node_modules/.bin/buf`, words, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const service = createFileRegistry(fromBinary(FileDescriptorSetSchema, image)).getService("grpc.health.v1.Health");
  if (service === undefined) throw new Error("health.proto has no grpc.health.v1.Health");
  return service as unknown as HealthService;
}
