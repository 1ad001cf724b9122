import { fromBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** A proto file as reflection serves it. */
export interface DescriptorFile {
  readonly name: string;
  /** The FileDescriptorProto, byte for byte as it was compiled. */
  readonly bytes: Buffer;
  /** Names of the files that it imports. */
  readonly imports: readonly string[];
}

/** Finds proto files by their name and by the full names of what they define. */
export class DescriptorIndex {
  readonly #files = new Map<string, DescriptorFile>();
  readonly #symbols = new Map<string, DescriptorFile>();
  readonly #messages = new Set<string>();

  /** Takes base64 of each file's FileDescriptorProto by file name. Throws when one does not parse. */
  constructor(encodedFiles: Readonly<Record<string, string>>) {
    for (const [name, base64] of Object.entries(encodedFiles)) {
      const bytes = Buffer.from(base64, "base64");
      const proto = fromBinary(FileDescriptorProtoSchema, bytes);
      const file: DescriptorFile = { name, bytes, imports: proto.dependency };
      this.#files.set(name, file);
      this.#indexFile(proto, file);
    }
  }

  /** By import name, e.g. `grpc/health/v1/health.proto`. */
  file(name: string): DescriptorFile | undefined {
    return this.#files.get(name);
  }

  /**
   * By the full name, without a leading dot, of a service, method, message, field, oneof, enum, enum value or
   * extension that the file defines.
   */
  fileOfSymbol(symbol: string): DescriptorFile | undefined {
    return this.#symbols.get(symbol);
  }

  isMessage(symbol: string): boolean {
    return this.#messages.has(symbol);
  }

  /** The file first, then all that it imports, directly or not; each once. */
  withImports(file: DescriptorFile): DescriptorFile[] {
    const found = new Set([file]);
    // A set yields what is added to it while it is walked.
    for (const { imports } of found) {
      for (const name of imports) {
        const imported = this.#files.get(name);
        if (imported !== undefined) found.add(imported);
      }
    }
    return [...found];
  }

  #indexFile(proto: FileDescriptorProto, file: DescriptorFile): void {
    const scope = proto.package === "" ? "" : `${proto.package}.`;
    for (const message of proto.messageType) this.#indexMessage(message, scope, file);
    for (const enumeration of proto.enumType) this.#indexEnum(enumeration, scope, file);
    for (const extension of proto.extension) this.#symbols.set(`${scope}${extension.name}`, file);
    for (const service of proto.service) {
      this.#symbols.set(`${scope}${service.name}`, file);
      for (const method of service.method) this.#symbols.set(`${scope}${service.name}.${method.name}`, file);
    }
  }

  #indexMessage(message: DescriptorProto, scope: string, file: DescriptorFile): void {
    const name = `${scope}${message.name}`;
    this.#symbols.set(name, file);
    this.#messages.add(name);
    for (const part of [...message.field, ...message.oneofDecl, ...message.extension]) {
      this.#symbols.set(`${name}.${part.name}`, file);
    }
    for (const nested of message.nestedType) this.#indexMessage(nested, `${name}.`, file);
    for (const enumeration of message.enumType) this.#indexEnum(enumeration, `${name}.`, file);
  }

  /** An enum's values are named beside it, not below it (descriptor.proto, EnumValueDescriptorProto). */
  #indexEnum(enumeration: EnumDescriptorProto, scope: string, file: DescriptorFile): void {
    this.#symbols.set(`${scope}${enumeration.name}`, file);
    for (const value of enumeration.value) this.#symbols.set(`${scope}${value.name}`, file);
  }
}
