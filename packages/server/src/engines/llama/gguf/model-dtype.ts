import { ggmlTypes } from "./ggml-types.ts";
import { type GgufHeader, getNumber } from "./gguf-header.ts";

/**
 * Names of `general.file_type`. Source: `enum llama_ftype` in llama.cpp `include/llama.h`; numbers that are missing
 * were removed from the format.
 */
const fileTypes: Readonly<Record<number, string>> = {
  0: "float32",
  1: "float16",
  2: "q4_0",
  3: "q4_1",
  7: "q8_0",
  8: "q5_0",
  9: "q5_1",
  10: "q2_k",
  11: "q3_k_s",
  12: "q3_k_m",
  13: "q3_k_l",
  14: "q4_k_s",
  15: "q4_k_m",
  16: "q5_k_s",
  17: "q5_k_m",
  18: "q6_k",
  19: "iq2_xxs",
  20: "iq2_xs",
  21: "q2_k_s",
  22: "iq3_xs",
  23: "iq3_xxs",
  24: "iq1_s",
  25: "iq4_nl",
  26: "iq3_s",
  27: "iq3_m",
  28: "iq2_s",
  29: "iq2_m",
  30: "iq4_xs",
  31: "iq1_m",
  32: "bfloat16",
  36: "tq1_0",
  37: "tq2_0",
  38: "mxfp4",
  39: "nvfp4",
  40: "q1_0",
};

/** Set when the converter did not know the type and guessed it (`LLAMA_FTYPE_GUESSED`). */
const guessedFlag = 1_024;

const plainTypes: Readonly<Record<string, string>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
  f64: "float64",
};

/**
 * How the weights are stored: `float32`, `float16`, `bfloat16`, or the name of the quantization in lower case, such as
 * `q4_k_m`. Taken from `general.file_type`; where that is absent or unknown, the type that holds most weights.
 */
export function modelDtype(header: GgufHeader): string {
  const fileType = getNumber(header, "general.file_type");
  const named = fileType === undefined ? undefined : fileTypes[fileType & ~guessedFlag];
  return named ?? mostFrequentType(header);
}

function mostFrequentType(header: GgufHeader): string {
  const elements = new Map<number, number>();
  for (const { ggmlType, dimensions } of header.tensors) {
    const size = dimensions.reduce((product, dimension) => product * dimension, 1);
    elements.set(ggmlType, (elements.get(ggmlType) ?? 0) + size);
  }
  const [most] = [...elements].sort((left, right) => right[1] - left[1]);
  const name = most === undefined ? undefined : ggmlTypes.get(most[0])?.name;
  return name === undefined ? "unknown" : (plainTypes[name] ?? name);
}
