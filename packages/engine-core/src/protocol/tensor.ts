import { badFrame } from "../engine-core-error.ts";
import { Extension, type MessagePackReader, rawBytesExtension } from "./msgpack/reader.ts";

/** Numbers in rows: what numpy and torch send. int64 values are rounded to doubles. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Int32Array | Float32Array | Float64Array | Uint8Array;
}

/** vLLM's LogprobsLists and LogprobsTensors: [positions, k + 1] ids and natural logarithms, [positions] ranks. */
export interface LogprobsTensors {
  readonly tokenIds: Tensor;
  readonly logprobs: Tensor;
  readonly ranks: Tensor;
}

interface ElementType {
  readonly bytes: number;
  read(view: DataView, elements: number): Tensor["values"];
}

const int32: ElementType = {
  bytes: 4,
  read: (view, n) => Int32Array.from({ length: n }, (_, i) => view.getInt32(i * 4, true)),
};
const float32: ElementType = {
  bytes: 4,
  read: (view, n) => Float32Array.from({ length: n }, (_, i) => view.getFloat32(i * 4, true)),
};
const float64: ElementType = {
  bytes: 8,
  read: (view, n) => Float64Array.from({ length: n }, (_, i) => view.getFloat64(i * 8, true)),
};
const int64: ElementType = {
  bytes: 8,
  read: (view, n) => Float64Array.from({ length: n }, (_, i) => Number(view.getBigInt64(i * 8, true))),
};
const uint8: ElementType = { bytes: 1, read: (view, n) => Uint8Array.from({ length: n }, (_, i) => view.getUint8(i)) };
const float16: ElementType = {
  bytes: 2,
  read: (view, n) => Float32Array.from({ length: n }, (_, i) => fromHalf(view.getUint16(i * 2, true))),
};
/** The upper half of a float32. */
const bfloat16: ElementType = {
  bytes: 2,
  read: (view, n) => {
    const bits = Uint32Array.from({ length: n }, (_, i) => view.getUint16(i * 2, true) << 16);
    return new Float32Array(bits.buffer);
  },
};

/** By numpy's name of the type (ndarray) and by torch's (tensor); see vllm/v1/serial_utils.py. */
const elementTypes: ReadonlyMap<string, ElementType> = new Map([
  ["<i4", int32],
  ["int32", int32],
  ["<f4", float32],
  ["float32", float32],
  ["<f8", float64],
  ["float64", float64],
  ["<i8", int64],
  ["int64", int64],
  ["|u1", uint8],
  ["uint8", uint8],
  ["<f2", float16],
  ["float16", float16],
  ["bfloat16", bfloat16],
]);

/**
 * Reads an ndarray or tensor: [type, shape, data]. The data are an extension with the bytes, or the number of the frame
 * that has them (from 256 bytes on, VLLM_MSGPACK_ZERO_COPY_THRESHOLD). The values are a copy, so the frames can go.
 */
export function readTensor(reader: MessagePackReader, frames: readonly Uint8Array[], what: string): Tensor {
  const places = reader.arrayHeader(what);
  if (places < 3) throw badFrame(`${what} has ${places} places, not 3`);
  const name = reader.string(`the type of ${what}`);
  const type = elementTypes.get(name);
  if (type === undefined) throw badFrame(`${what} has elements of the unknown type ${JSON.stringify(name)}`);
  const shape = reader.integers(`the shape of ${what}`);
  const data = reader.value();
  for (let place = 3; place < places; place++) reader.skip();
  const bytes = bytesOf(data, frames, what);
  const elements = shape.reduce((product, size) => product * size, 1);
  if (shape.some((size) => size < 0) || bytes.byteLength !== elements * type.bytes) {
    throw badFrame(`${what} has ${bytes.byteLength} bytes for a shape of [${shape.join(", ")}] of ${name}`);
  }
  return { shape, values: type.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), elements) };
}

function bytesOf(data: unknown, frames: readonly Uint8Array[], what: string): Uint8Array {
  if (data instanceof Extension && data.type === rawBytesExtension) return data.bytes;
  if (data instanceof Uint8Array) return data;
  const frame = typeof data === "number" && data > 0 ? frames[data] : undefined;
  if (frame === undefined)
    throw badFrame(`${what} has its data in a frame that did not come; ${frames.length} frames did`);
  return frame;
}

/** Reads logprobs: an array of ids, logarithms, ranks and places that nobody needs; undefined for nil. */
export function readLogprobs(
  reader: MessagePackReader,
  frames: readonly Uint8Array[],
  what: string,
): LogprobsTensors | undefined {
  if (reader.nil()) return undefined;
  const places = reader.arrayHeader(what);
  if (places < 3) throw badFrame(`${what} have ${places} places, not 3`);
  const tokenIds = readTensor(reader, frames, `the token ids of ${what}`);
  const logprobs = readTensor(reader, frames, `the values of ${what}`);
  const ranks = readTensor(reader, frames, `the ranks of ${what}`);
  for (let place = 3; place < places; place++) reader.skip();
  const [rows = 0, columns = 0] = tokenIds.shape;
  const same = logprobs.shape.length === 2 && logprobs.shape[0] === rows && logprobs.shape[1] === columns;
  if (tokenIds.shape.length !== 2 || !same || ranks.shape[0] !== rows) {
    throw badFrame(
      `${what} disagree on their shape: ids [${tokenIds.shape.join(", ")}], values [${logprobs.shape.join(", ")}], ranks [${ranks.shape.join(", ")}]`,
    );
  }
  return { tokenIds, logprobs, ranks };
}

function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
