import { type GgufElementType, ggufValueTypes } from "../gguf-value.ts";

export type EncodableScalar = string | number | bigint | boolean;
export type EncodableValue =
  | { readonly type: GgufElementType; readonly value: EncodableScalar }
  | { readonly type: "array"; readonly of: GgufElementType; readonly values: readonly EncodableScalar[] };

export interface EncodableGguf {
  readonly version?: number;
  readonly metadata: readonly (readonly [key: string, value: EncodableValue])[];
  readonly tensors?: readonly {
    readonly name: string;
    readonly dimensions: readonly number[];
    readonly ggmlType: number;
    readonly offsetBytes: number;
  }[];
  /** Zeros after the padded header. */
  readonly dataBytes?: number;
  readonly alignmentBytes?: number;
}

/** Writes a GGUF file by hand, for tests. Checks nothing. */
export function encodeGguf(file: EncodableGguf): Buffer {
  const tensors = file.tensors ?? [];
  const chunks = [
    Buffer.from("GGUF"),
    number("uint32", file.version ?? 3),
    number("uint64", BigInt(tensors.length)),
    number("uint64", BigInt(file.metadata.length)),
    ...file.metadata.flatMap(([key, value]) => [string(key), ...encodeValue(value)]),
    ...tensors.flatMap((tensor) => [
      string(tensor.name),
      number("uint32", tensor.dimensions.length),
      ...tensor.dimensions.map((dimension) => number("uint64", BigInt(dimension))),
      number("uint32", tensor.ggmlType),
      number("uint64", BigInt(tensor.offsetBytes)),
    ]),
  ];
  const header = Buffer.concat(chunks);
  const alignmentBytes = file.alignmentBytes ?? 32;
  const padded = Math.ceil(header.length / alignmentBytes) * alignmentBytes;
  return Buffer.concat([header, Buffer.alloc(padded - header.length + (file.dataBytes ?? 0))]);
}

/** Short forms for the values that models have most. */
export const gguf: {
  string(value: string): EncodableValue;
  uint32(value: number): EncodableValue;
  bool(value: boolean): EncodableValue;
  strings(values: readonly string[]): EncodableValue;
  int32s(values: readonly number[]): EncodableValue;
  float32s(values: readonly number[]): EncodableValue;
} = {
  string: (value) => ({ type: "string", value }),
  uint32: (value) => ({ type: "uint32", value }),
  bool: (value) => ({ type: "bool", value }),
  strings: (values) => ({ type: "array", of: "string", values }),
  int32s: (values) => ({ type: "array", of: "int32", values }),
  float32s: (values) => ({ type: "array", of: "float32", values }),
};

function encodeValue(value: EncodableValue): Buffer[] {
  const typeId = number("uint32", ggufValueTypes.indexOf(value.type));
  if (value.type !== "array") return [typeId, scalar(value.type, value.value)];
  const { of, values } = value;
  const head = [number("uint32", ggufValueTypes.indexOf(of)), number("uint64", BigInt(values.length))];
  return [typeId, ...head, ...values.map((each) => scalar(of, each))];
}

function scalar(type: GgufElementType, value: EncodableScalar): Buffer {
  if (type === "string") return string(String(value));
  return number(type, typeof value === "bigint" ? value : Number(value));
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([number("uint64", BigInt(bytes.length)), bytes]);
}

function number(type: Exclude<GgufElementType, "string">, value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  const written = write(bytes, type, value);
  return bytes.subarray(0, written);
}

function write(bytes: Buffer, type: Exclude<GgufElementType, "string">, value: number | bigint): number {
  switch (type) {
    case "uint8":
    case "bool":
      return bytes.writeUInt8(Number(value));
    case "int8":
      return bytes.writeInt8(Number(value));
    case "uint16":
      return bytes.writeUInt16LE(Number(value));
    case "int16":
      return bytes.writeInt16LE(Number(value));
    case "uint32":
      return bytes.writeUInt32LE(Number(value));
    case "int32":
      return bytes.writeInt32LE(Number(value));
    case "float32":
      return bytes.writeFloatLE(Number(value));
    case "float64":
      return bytes.writeDoubleLE(Number(value));
    case "uint64":
      return bytes.writeBigUInt64LE(BigInt(value));
    case "int64":
      return bytes.writeBigInt64LE(BigInt(value));
  }
}
