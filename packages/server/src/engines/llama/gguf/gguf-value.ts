/**
 * The value types of GGUF metadata by their number on the wire.
 * Source: `enum gguf_metadata_value_type` in ggml `docs/gguf.md`.
 */
export const ggufValueTypes = [
  "uint8",
  "int8",
  "uint16",
  "int16",
  "uint32",
  "int32",
  "float32",
  "bool",
  "string",
  "array",
  "uint64",
  "int64",
  "float64",
] as const;

export type GgufValueType = (typeof ggufValueTypes)[number];

/** What an array can hold. GGUF knows arrays of arrays too; llama.cpp does not read them and neither do we. */
export type GgufElementType = Exclude<GgufValueType, "array">;

/** The numbers of an array, packed as in the file. Bools are bytes of 0 and 1. */
export type GgufPackedNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigUint64Array
  | BigInt64Array;

export type GgufValue =
  | { readonly type: Exclude<GgufElementType, "string" | "bool" | "uint64" | "int64">; readonly value: number }
  | { readonly type: "uint64" | "int64"; readonly value: bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "array"; readonly of: "string"; readonly values: readonly string[] }
  | { readonly type: "array"; readonly of: Exclude<GgufElementType, "string">; readonly values: GgufPackedNumbers };

/** One tensor as the header names it. */
export interface GgufTensorInfo {
  readonly name: string;
  /** Number of elements per dimension, the row length first; 1 to 4 of them. */
  readonly dimensions: readonly number[];
  /** Number of the ggml type; see `ggmlTypes`. */
  readonly ggmlType: number;
  /** From the start of the tensor data of the file that holds it. */
  readonly offsetBytes: number;
}
