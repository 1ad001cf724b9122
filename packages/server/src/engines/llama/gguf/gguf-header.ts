import { EngineError } from "../../../engine/errors.ts";
import type { GgufTensorInfo, GgufValue } from "./gguf-value.ts";

/** What a GGUF file says of itself before its tensor data begins. Of a split model: the first part, with all tensors. */
export interface GgufHeader {
  /** The file as the caller named it; the first part of a split model. */
  readonly path: string;
  readonly version: 2 | 3;
  readonly alignmentBytes: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Of every part of a split model. */
  readonly tensors: readonly GgufTensorInfo[];
  /** Files that make up the model, this one first. */
  readonly files: readonly { readonly path: string; readonly sizeBytes: number }[];
}

/** The text under `key`, or undefined when the key is absent. Throws failed-precondition when it is no string. */
export function getString(header: GgufHeader, key: string): string | undefined {
  const value = header.metadata.get(key);
  if (value === undefined) return undefined;
  if (value.type !== "string") throw wrongType(header, key, "a string", value);
  return value.value;
}

/** The truth value under `key`, or undefined when the key is absent. Throws failed-precondition when it is no bool. */
export function getBoolean(header: GgufHeader, key: string): boolean | undefined {
  const value = header.metadata.get(key);
  if (value === undefined) return undefined;
  if (value.type !== "bool") throw wrongType(header, key, "a bool", value);
  return value.value;
}

/**
 * The number under `key`, or undefined when the key is absent. Throws failed-precondition when it is no number, or an
 * integer that a JavaScript number cannot hold exactly.
 */
export function getNumber(header: GgufHeader, key: string): number | undefined {
  const value = header.metadata.get(key);
  if (value === undefined) return undefined;
  if (typeof value === "object" && "value" in value) {
    if (typeof value.value === "number") return value.value;
    if (typeof value.value === "bigint") return toSafeNumber(header, key, value.value);
  }
  throw wrongType(header, key, "a number", value);
}

/** A whole number of at least 0 under `key`, such as a count or a token id; undefined when the key is absent. */
export function getCount(header: GgufHeader, key: string): number | undefined {
  const value = getNumber(header, key);
  if (value === undefined) return undefined;
  if (!Number.isSafeInteger(value) || value < 0) {
    throw badMetadata(header, `${key} is ${value}, and a whole number of at least 0 is needed`);
  }
  return value;
}

/** The strings under `key`, or undefined when the key is absent. Throws failed-precondition for anything else. */
export function getStringArray(header: GgufHeader, key: string): readonly string[] | undefined {
  const value = header.metadata.get(key);
  if (value === undefined) return undefined;
  if (value.type !== "array" || value.of !== "string") throw wrongType(header, key, "an array of strings", value);
  return value.values;
}

/**
 * The numbers under `key`, or undefined when the key is absent. Throws failed-precondition for anything else, 64-bit
 * integers beyond the safe range included.
 */
export function getNumberArray(header: GgufHeader, key: string): ArrayLike<number> | undefined {
  const value = header.metadata.get(key);
  if (value === undefined) return undefined;
  if (value.type !== "array" || value.of === "string" || value.of === "bool") {
    throw wrongType(header, key, "an array of numbers", value);
  }
  const { values } = value;
  if (values instanceof BigUint64Array || values instanceof BigInt64Array) {
    return Array.from(values, (each) => toSafeNumber(header, key, each));
  }
  return values;
}

/** The error for metadata that is there and makes no sense. `fault` completes the sentence. */
export function badMetadata(header: GgufHeader, fault: string): EngineError {
  return new EngineError(
    "failed-precondition",
    `${header.path} has metadata that cannot be used: ${fault}. Convert or download the model again.`,
  );
}

function toSafeNumber(header: GgufHeader, key: string, value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw badMetadata(header, `${key} is ${value}, which is out of range`);
  return number;
}

function wrongType(header: GgufHeader, key: string, wanted: string, found: GgufValue): EngineError {
  const name = found.type === "array" ? `an array of ${found.of}` : found.type;
  return badMetadata(header, `${key} is ${name} where ${wanted} is needed`);
}
