/** Numbers in rows: what numpy and torch send. int64 values are rounded to doubles. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Int32Array | Float32Array | Float64Array | Uint8Array;
}

/** vLLM's LogprobsLists: [positions, k + 1] ids and natural logarithms, [positions] ranks. */
export interface LogprobsTensors {
  readonly tokenIds: Tensor;
  readonly logprobs: Tensor;
  readonly ranks: Tensor;
}

/** vLLM's LogprobsTensors of a prompt: the same shapes. */
export type PromptLogprobsTensors = LogprobsTensors;
