/**
 * A made-up, L2-normalised vector of a prompt: the same ids always give the same one, other ids almost always another.
 */
export function mockEmbedding(tokenIds: Uint32Array, dimensions: number): Float32Array {
  const values = new Float64Array(dimensions);
  // FNV-1a, 32 bits: offset basis and prime.
  let hash = 2_166_136_261;
  for (const id of tokenIds) hash = Math.imul(hash ^ id, 16_777_619);
  for (let i = 0; i < dimensions; i++) {
    hash = Math.imul(hash ^ i, 16_777_619);
    values[i] = ((hash >>> 8) / 2 ** 24) * 2 - 1 || 1;
  }
  const norm = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / norm);
}
