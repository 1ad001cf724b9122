import type { Tensor } from "@tokenwire/engine-core";
import type { Embedding } from "../../../engine/output.ts";

/** What the engine pooled as an embedding of length 1, whatever the model's pooler does to it. */
export function embeddingOf({ values }: Tensor, promptTokens: number): Embedding {
  const vector = Float32Array.from(values);
  let sum = 0;
  for (const value of vector) sum += value * value;
  const length = Math.sqrt(sum);
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) / length;
  return { values: vector, promptTokens };
}
