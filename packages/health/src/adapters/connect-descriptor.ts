import type { ServingStatus } from "../serving-status.ts";

/**
 * The descriptor of `grpc.health.v1.Health` as protobuf-es describes a service (`DescService` of `@bufbuild/protobuf` 2),
 * written out by hand: generated code would import protobuf-es, and this package imports nothing. A test holds it against
 * the descriptor that protobuf-es makes from health.proto. Objects that point at each other are filled in after they are
 * made; nobody changes them later.
 */
export interface HealthDescriptor {
  readonly kind: "service";
  readonly typeName: "grpc.health.v1.Health";
  readonly methods: readonly object[];
}

/** Numbers of `HealthCheckResponse.ServingStatus` in health.proto. */
export const servingStatusNumber: Readonly<Record<ServingStatus, number>> = {
  UNKNOWN: 0,
  SERVING: 1,
  NOT_SERVING: 2,
  SERVICE_UNKNOWN: 3,
};

const packageName = "grpc.health.v1";
/** google.protobuf.Edition.EDITION_PROTO3 */
const editionProto3 = 999;
/** google.protobuf.FeatureSet.FieldPresence.IMPLICIT */
const implicitPresence = 2;
/** google.protobuf.FieldDescriptorProto.Type.TYPE_STRING */
const scalarString = 9;

/** A fresh descriptor on each call, so that two servers share nothing. */
export function createHealthDescriptor(): HealthDescriptor {
  const file = {
    kind: "file",
    edition: editionProto3,
    name: "grpc/health/v1/health",
    dependencies: [],
    enums: [],
    messages: [] as object[],
    extensions: [],
    services: [] as object[],
    deprecated: false,
    proto: proto("FileDescriptorProto", "grpc/health/v1/health.proto", { package: packageName, syntax: "proto3" }),
    toString: () => "file grpc/health/v1/health.proto",
  };
  type Message = ReturnType<typeof messageOf>;

  const messageOf = (name: string) => ({
    kind: "message",
    typeName: `${packageName}.${name}`,
    name,
    file,
    parent: undefined,
    fields: [] as object[],
    field: {} as Record<string, object>,
    oneofs: [],
    members: [] as object[],
    nestedEnums: [] as object[],
    nestedMessages: [],
    nestedExtensions: [],
    deprecated: false,
    proto: proto("DescriptorProto", name),
    toString: () => `message ${packageName}.${name}`,
  });

  /** Every field of health.proto has number 1. */
  const addField = (parent: Message, name: string, form: object): void => {
    const field = {
      kind: "field",
      name,
      localName: name,
      jsonName: name,
      number: 1,
      parent,
      oneof: undefined,
      message: undefined,
      enum: undefined,
      scalar: undefined,
      longAsString: false,
      presence: implicitPresence,
      utf8Validation: true,
      deprecated: false,
      proto: proto("FieldDescriptorProto", name, { number: 1, jsonName: name }),
      toString: () => `field ${parent.typeName}.${name}`,
      ...form,
    };
    parent.fields.push(field);
    parent.members.push(field);
    parent.field[name] = field;
  };

  const checkRequest = messageOf("HealthCheckRequest");
  const stringForm = { fieldKind: "scalar", scalar: scalarString };
  addField(checkRequest, "service", { ...stringForm, getDefaultValue: () => undefined });

  const checkResponse = messageOf("HealthCheckResponse");
  const servingStatus = describeServingStatus(file, checkResponse);
  checkResponse.nestedEnums.push(servingStatus);
  addField(checkResponse, "status", { fieldKind: "enum", enum: servingStatus, getDefaultValue: () => undefined });

  const listRequest = messageOf("HealthListRequest");
  const listResponse = messageOf("HealthListResponse");
  const mapForm = { fieldKind: "map", mapKind: "message", mapKey: scalarString, delimitedEncoding: false };
  addField(listResponse, "statuses", { ...mapForm, message: checkResponse });
  file.messages.push(checkRequest, checkResponse, listRequest, listResponse);

  const methods: object[] = [];
  const method: Record<string, object> = {};
  const service: HealthDescriptor & Record<string, unknown> = {
    kind: "service",
    typeName: `${packageName}.Health`,
    name: "Health",
    file,
    methods,
    method,
    deprecated: false,
    proto: proto("ServiceDescriptorProto", "Health"),
    toString: () => `service ${packageName}.Health`,
  };
  file.services.push(service);
  const addMethod = (name: string, methodKind: string, input: Message, output: Message): void => {
    const localName = name.toLowerCase();
    const description = {
      kind: "rpc",
      name,
      localName,
      parent: service,
      methodKind,
      input,
      output,
      idempotency: 0,
      deprecated: false,
      proto: proto("MethodDescriptorProto", name, {
        inputType: `.${input.typeName}`,
        outputType: `.${output.typeName}`,
      }),
      toString: () => `rpc ${packageName}.Health.${name}`,
    };
    methods.push(description);
    method[localName] = description;
  };
  addMethod("Check", "unary", checkRequest, checkResponse);
  addMethod("List", "unary", listRequest, listResponse);
  addMethod("Watch", "server_streaming", checkRequest, checkResponse);
  return service;
}

function describeServingStatus(file: object, parent: { readonly typeName: string }): object {
  const name = "ServingStatus";
  const values: object[] = [];
  const value: Record<number, object> = {};
  const description = {
    kind: "enum",
    typeName: `${parent.typeName}.${name}`,
    name,
    file,
    parent,
    open: true,
    values,
    value,
    sharedPrefix: undefined,
    deprecated: false,
    proto: proto("EnumDescriptorProto", name),
    toString: () => `enum ${parent.typeName}.${name}`,
  };
  for (const [valueName, number] of Object.entries(servingStatusNumber)) {
    const entry = {
      kind: "enum_value",
      name: valueName,
      localName: valueName,
      jsonName: valueName,
      number,
      parent: description,
      deprecated: false,
      proto: proto("EnumValueDescriptorProto", valueName, { number }),
      toString: () => `enum value ${parent.typeName}.${name}.${valueName}`,
    };
    values.push(entry);
    value[number] = entry;
  }
  return description;
}

function proto(type: string, name: string, more: object = {}): object {
  return { $typeName: `google.protobuf.${type}`, name, ...more };
}
