import { ByteCursor, GgufFormatError } from "./byte-cursor.ts";
import { ggmlTypes } from "./ggml-types.ts";
import {
  type GgufElementType,
  type GgufPackedNumbers,
  type GgufTensorInfo,
  type GgufValue,
  type GgufValueType,
  ggufValueTypes,
} from "./gguf-value.ts";

/** What one file says, apart from where it lies. */
export interface ParsedGguf {
  readonly version: 2 | 3;
  readonly alignmentBytes: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensorInfo[];
  /** Where the header ends and the tensor data begins, padded to the alignment. */
  readonly dataStartBytes: number;
}

const magic = 0x46554747;
const defaultAlignmentBytes = 32;

const maxMetadataKeys = 65_536;
const maxKeyBytes = 65_535;
const maxTensors = 1_048_576;
const maxTensorNameBytes = 1_024;
const maxDimensions = 4;
const maxArrayElements = 4_194_304;
const maxStringBytes = 64 * 1024 * 1024;

const elementBytes: Record<Exclude<GgufElementType, "string">, number> = {
  uint8: 1,
  int8: 1,
  bool: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  uint64: 8,
  int64: 8,
  float64: 8,
};

const smallestPairBytes = 8 + 4 + 1;
const smallestTensorBytes = 8 + 4 + 4 + 8;
const smallestStringBytes = 8;

/**
 * Parses the header of a GGUF file, version 2 or 3, little-endian, from its first bytes. Every count and length is
 * checked against the size of the whole file before anything is allocated for it.
 *
 * Throws `MoreBytesNeeded` when `bytes` is a true beginning that ends too early, and `GgufFormatError` when no further
 * bytes could make it a header. Source of the layout: ggml `docs/gguf.md`; of the bounds that are stricter than the
 * document (no nested arrays, no duplicate keys, alignment a power of two): llama.cpp `ggml/src/gguf.cpp`.
 */
export function parseGgufHeader(bytes: Buffer, fileSizeBytes: number): ParsedGguf {
  const cursor = new ByteCursor(bytes, fileSizeBytes);
  if (fileSizeBytes < 24)
    throw new GgufFormatError(`it holds ${fileSizeBytes} bytes, fewer than the smallest GGUF file`);
  if (cursor.uint32() !== magic) throw new GgufFormatError("it does not begin with the letters GGUF");
  const version = readVersion(cursor);
  const tensorCount = readCount(cursor, "tensor count", maxTensors, smallestTensorBytes);
  const pairCount = readCount(cursor, "metadata count", maxMetadataKeys, smallestPairBytes);

  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < pairCount; index++) {
    const key = cursor.string(`metadata key ${index}`, maxKeyBytes);
    if (metadata.has(key)) throw new GgufFormatError(`its metadata has the key ${show(key)} twice`);
    metadata.set(key, readValue(cursor, key));
  }
  const alignmentBytes = readAlignment(metadata.get("general.alignment"));
  const tensors: GgufTensorInfo[] = [];
  for (let index = 0; index < tensorCount; index++) tensors.push(readTensorInfo(cursor, index, alignmentBytes));
  const dataStartBytes = Math.ceil(cursor.position / alignmentBytes) * alignmentBytes;
  return { version, alignmentBytes, metadata, tensors, dataStartBytes };
}

/**
 * How large the file must be to hold every tensor whose type is known, and the tensor that reaches furthest. Types of
 * a later format are left out: their size is not known here, and llama.cpp checks it again.
 */
export function requiredFileSize(header: ParsedGguf): { readonly bytes: number; readonly tensor: string | undefined } {
  let bytes = header.dataStartBytes;
  let tensor: string | undefined;
  for (const { name, dimensions, ggmlType, offsetBytes } of header.tensors) {
    const type = ggmlTypes.get(ggmlType);
    if (type === undefined) continue;
    const elements = dimensions.reduce((product, dimension) => product * dimension, 1);
    const end = header.dataStartBytes + offsetBytes + (elements / type.blockElements) * type.blockBytes;
    if (end > bytes) {
      bytes = end;
      tensor = name;
    }
  }
  return header.tensors.length === 0 ? { bytes: 0, tensor: undefined } : { bytes, tensor };
}

function readVersion(cursor: ByteCursor): 2 | 3 {
  const version = cursor.uint32();
  if (version === 2 || version === 3) return version;
  if (version === 1) throw new GgufFormatError("it is GGUF version 1, which llama.cpp no longer reads");
  if (version !== 0 && (version & 0xffff) === 0) throw new GgufFormatError("it is a big-endian GGUF file");
  throw new GgufFormatError(`it is GGUF version ${version}, and versions 2 and 3 are known`);
}

function readCount(cursor: ByteCursor, what: string, limit: number, smallestBytes: number): number {
  const count = cursor.count(what);
  if (count > limit) throw new GgufFormatError(`its ${what} is ${count}, and at most ${limit} are read`);
  if (count * smallestBytes > cursor.remainingBytes) {
    throw new GgufFormatError(`its ${what} is ${count}, more than a file of its size can hold`);
  }
  return count;
}

function readType(cursor: ByteCursor, key: string): GgufValueType {
  const id = cursor.uint32();
  const type = ggufValueTypes[id];
  if (type === undefined) throw new GgufFormatError(`its metadata key ${show(key)} has the unknown value type ${id}`);
  return type;
}

function readValue(cursor: ByteCursor, key: string): GgufValue {
  const type = readType(cursor, key);
  switch (type) {
    case "string":
      return { type, value: cursor.string(`the value of ${show(key)}`, maxStringBytes) };
    case "bool":
      return { type, value: readBool(cursor.uint8(), key) };
    case "uint64":
    case "int64":
      return { type, value: cursor[type]() };
    case "array":
      return readArray(cursor, key);
    default:
      return { type, value: cursor[type]() };
  }
}

function readArray(cursor: ByteCursor, key: string): GgufValue {
  const of = readType(cursor, key);
  if (of === "array") throw new GgufFormatError(`its metadata key ${show(key)} is an array of arrays`);
  const smallestBytes = of === "string" ? smallestStringBytes : elementBytes[of];
  const length = readCount(cursor, `number of values of ${show(key)}`, maxArrayElements, smallestBytes);
  if (of !== "string") return { type: "array", of, values: pack(of, cursor.copy(length * smallestBytes), key) };
  const values: string[] = [];
  for (let index = 0; index < length; index++) values.push(cursor.string(`a value of ${show(key)}`, maxStringBytes));
  return { type: "array", of, values };
}

// GGUF is little-endian here and so is every platform that Node runs on.
function pack(of: Exclude<GgufElementType, "string">, buffer: ArrayBuffer, key: string): GgufPackedNumbers {
  switch (of) {
    case "uint8":
      return new Uint8Array(buffer);
    case "int8":
      return new Int8Array(buffer);
    case "bool": {
      const flags = new Uint8Array(buffer);
      for (const flag of flags) readBool(flag, key);
      return flags;
    }
    case "uint16":
      return new Uint16Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int32":
      return new Int32Array(buffer);
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "uint64":
      return new BigUint64Array(buffer);
    case "int64":
      return new BigInt64Array(buffer);
  }
}

function readBool(byte: number, key: string): boolean {
  if (byte > 1) throw new GgufFormatError(`its metadata key ${show(key)} has ${byte} for a bool`);
  return byte === 1;
}

function readAlignment(value: GgufValue | undefined): number {
  if (value === undefined) return defaultAlignmentBytes;
  if (value.type !== "uint32" || value.value === 0 || (value.value & (value.value - 1)) !== 0) {
    throw new GgufFormatError("its general.alignment is no power of two");
  }
  return value.value;
}

function readTensorInfo(cursor: ByteCursor, index: number, alignmentBytes: number): GgufTensorInfo {
  const name = cursor.string(`the name of tensor ${index}`, maxTensorNameBytes);
  const dimensionCount = cursor.uint32();
  if (dimensionCount < 1 || dimensionCount > maxDimensions) {
    throw new GgufFormatError(`its tensor ${show(name)} has ${dimensionCount} dimensions, and 1 to 4 are possible`);
  }
  const dimensions: number[] = [];
  let elements = 1;
  for (let dimension = 0; dimension < dimensionCount; dimension++) {
    const size = cursor.count(`tensor ${show(name)} in dimension ${dimension}`);
    elements *= size;
    if (!Number.isSafeInteger(elements))
      throw new GgufFormatError(`its tensor ${show(name)} is larger than any memory`);
    dimensions.push(size);
  }
  const ggmlType = cursor.uint32();
  const offsetBytes = cursor.count(`offset of tensor ${show(name)}`);
  if (offsetBytes % alignmentBytes !== 0) {
    throw new GgufFormatError(
      `its tensor ${show(name)} begins at ${offsetBytes}, off the alignment of ${alignmentBytes}`,
    );
  }
  const block = ggmlTypes.get(ggmlType)?.blockElements ?? 1;
  if ((dimensions[0] ?? 0) % block !== 0) {
    throw new GgufFormatError(`its tensor ${show(name)} has rows of ${dimensions[0]}, no multiple of ${block}`);
  }
  return { name, dimensions, ggmlType, offsetBytes };
}

/** A name from the file, safe and short enough for a sentence. */
function show(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
