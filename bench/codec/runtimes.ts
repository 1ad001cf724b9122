import { execFileSync } from "node:child_process";
import { createFileRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import protobuf from "protobufjs";

const repository = new URL("../../", import.meta.url).pathname;

/** A message of another runtime: bytes to its own object and back. */
export interface ForeignMessage {
  decode(bytes: Uint8Array): unknown;
  encode(message: unknown): Uint8Array;
}

/** protobufjs over the .proto files; it compiles an encoder and a decoder per message at run time, as its static code is. */
export async function protobufjsMessages(): Promise<(name: string) => ForeignMessage> {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => `${repository}proto/${target}`;
  await root.load("vllm_engine.proto");
  return (name) => {
    const type = root.lookupType(name);
    return {
      decode: (bytes) => type.decode(bytes),
      encode: (message) => type.encode(message as Record<string, unknown>).finish(),
    };
  };
}

/** @bufbuild/protobuf's own runtime (protobuf-es), which walks descriptors; they come from `buf build`. */
export function protobufEsMessages(): (name: string) => ForeignMessage {
  const set = execFileSync(`${repository}node_modules/.bin/buf`, ["build", "proto", "-o", "-#format=binpb"], {
    cwd: repository,
  });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
  return (name) => {
    const schema: DescMessage | undefined = registry.getMessage(name);
    if (schema === undefined) throw new Error(`proto has no message ${name}`);
    return {
      decode: (bytes) => fromBinary(schema, bytes),
      encode: (message) => toBinary(schema, message as Parameters<typeof toBinary>[1]),
    };
  };
}
