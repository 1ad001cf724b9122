import {
  GenerateResponse,
  type GenerateStreamChunk,
  type InputLogProbs,
  type OutputLogProbs,
  type TopLogProbs,
} from "../../generated/vllm_engine.ts";
import type { ResponseCodec } from "../../rpc/service.ts";

/**
 * Encodes Generate's answers: a chunk, the message of every token, by hand into one buffer of the right size;
 * everything else with generated code. The bytes are the same either way.
 *
 * Why by hand: bench/codec measures it against the generated encoder and two other runtimes
 * (docs/decisions/0001-protobuf-codec.md has the figures).
 */
export const generateResponseCodec: ResponseCodec<GenerateResponse> = {
  encode(message) {
    if (message.response?.$case !== "chunk") return GenerateResponse.encode(message);
    return new EncodedMessage(encodeChunkResponse(message.response.value));
  },
  encodeInto(message, writer) {
    if (message.response?.$case !== "chunk") {
      const bytes = GenerateResponse.encode(message).finish();
      writer.reserve(bytes.length);
      writer.bytes.set(bytes, writer.at);
      writer.at += bytes.length;
      return;
    }
    const chunk = message.response.value;
    const chunkSize = sizeOfChunk(chunk);
    const size = 1 + sizeOfVarint(chunkSize) + chunkSize;
    writer.reserve(size);
    const { bytes, at } = writer;
    bytes[at] = 0x0a;
    writeChunk(bytes, writeVarint(bytes, at + 1, chunkSize), chunk);
    writer.at = at + size;
  },
};

class EncodedMessage {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  finish(): Uint8Array {
    return this.#bytes;
  }
}

/**
 * Bytes of a GenerateResponse that holds this chunk. Numbers must fit their wire types (uint32, float), as an engine's
 * do; they are not looked at again.
 */
export function encodeChunkResponse(chunk: GenerateStreamChunk): Uint8Array {
  const chunkSize = sizeOfChunk(chunk);
  const buffer = Buffer.allocUnsafe(1 + sizeOfVarint(chunkSize) + chunkSize);
  buffer[0] = 0x0a;
  writeChunk(buffer, writeVarint(buffer, 1, chunkSize), chunk);
  return buffer;
}

// Field tags, `number << 3 | wire type`, all below 128 and so one byte long: see GenerateStreamChunk, OutputLogProbs,
// InputLogProbs, InputTokenLogProb and TopLogProbs in proto/vllm_engine.proto.

function sizeOfChunk(chunk: GenerateStreamChunk): number {
  const { outputLogprobs, inputLogprobs } = chunk;
  let size = sizeOfPackedVarints(chunk.tokenIds);
  if (chunk.promptTokens !== 0) size += 1 + sizeOfVarint(chunk.promptTokens);
  if (chunk.completionTokens !== 0) size += 1 + sizeOfVarint(chunk.completionTokens);
  if (chunk.cachedTokens !== 0) size += 1 + sizeOfVarint(chunk.cachedTokens);
  if (outputLogprobs !== undefined) size += sizeOfField(sizeOfOutputLogprobs(outputLogprobs));
  if (inputLogprobs !== undefined) size += sizeOfField(sizeOfInputLogprobs(inputLogprobs));
  if (chunk.index !== 0) size += 1 + sizeOfVarint(chunk.index);
  return size;
}

function writeChunk(buffer: Uint8Array, start: number, chunk: GenerateStreamChunk): void {
  const { outputLogprobs, inputLogprobs } = chunk;
  let at = writePackedVarints(buffer, start, 0x0a, chunk.tokenIds);
  if (chunk.promptTokens !== 0) at = writeUint32(buffer, at, 0x10, chunk.promptTokens);
  if (chunk.completionTokens !== 0) at = writeUint32(buffer, at, 0x18, chunk.completionTokens);
  if (chunk.cachedTokens !== 0) at = writeUint32(buffer, at, 0x20, chunk.cachedTokens);
  if (outputLogprobs !== undefined) {
    at = writeUint32(buffer, at, 0x2a, sizeOfOutputLogprobs(outputLogprobs));
    at = writeOutputLogprobs(buffer, at, outputLogprobs);
  }
  if (inputLogprobs !== undefined) {
    at = writeUint32(buffer, at, 0x32, sizeOfInputLogprobs(inputLogprobs));
    at = writeInputLogprobs(buffer, at, inputLogprobs);
  }
  if (chunk.index !== 0) writeUint32(buffer, at, 0x38, chunk.index);
}

function sizeOfOutputLogprobs(logprobs: OutputLogProbs): number {
  let size = sizeOfPackedFloats(logprobs.tokenLogprobs) + sizeOfPackedVarints(logprobs.tokenIds);
  for (const top of logprobs.topLogprobs) size += sizeOfField(sizeOfTop(top));
  return size;
}

function writeOutputLogprobs(buffer: Uint8Array, start: number, logprobs: OutputLogProbs): number {
  const at = writePackedFloats(buffer, start, 0x0a, logprobs.tokenLogprobs);
  return writeTops(buffer, writePackedVarints(buffer, at, 0x12, logprobs.tokenIds), logprobs.topLogprobs);
}

function sizeOfInputLogprobs(logprobs: InputLogProbs): number {
  let size = sizeOfPackedVarints(logprobs.tokenIds);
  // Two bytes of tag and length, and five of tag and float where there is a value.
  for (const { value } of logprobs.tokenLogprobs) size += value === undefined ? 2 : 7;
  for (const top of logprobs.topLogprobs) size += sizeOfField(sizeOfTop(top));
  return size;
}

function writeInputLogprobs(buffer: Uint8Array, start: number, logprobs: InputLogProbs): number {
  let at = start;
  for (const { value } of logprobs.tokenLogprobs) {
    buffer[at++] = 0x0a;
    buffer[at++] = value === undefined ? 0 : 5;
    if (value === undefined) continue;
    buffer[at++] = 0x0d;
    at = writeFloat(buffer, at, value);
  }
  return writeTops(buffer, writePackedVarints(buffer, at, 0x12, logprobs.tokenIds), logprobs.topLogprobs);
}

function sizeOfTop(top: TopLogProbs): number {
  return sizeOfPackedFloats(top.values) + sizeOfPackedVarints(top.tokenIds);
}

function writeTops(buffer: Uint8Array, start: number, tops: readonly TopLogProbs[]): number {
  let at = start;
  for (const top of tops) {
    at = writeUint32(buffer, at, 0x1a, sizeOfTop(top));
    at = writePackedFloats(buffer, at, 0x0a, top.values);
    at = writePackedVarints(buffer, at, 0x12, top.tokenIds);
  }
  return at;
}

/** A length-delimited field with a tag of one byte. */
function sizeOfField(contentSize: number): number {
  return 1 + sizeOfVarint(contentSize) + contentSize;
}

function sizeOfPackedFloats(values: readonly number[]): number {
  return values.length === 0 ? 0 : sizeOfField(values.length * 4);
}

function writePackedFloats(buffer: Uint8Array, start: number, tag: number, values: readonly number[]): number {
  if (values.length === 0) return start;
  let at = writeUint32(buffer, start, tag, values.length * 4);
  for (const value of values) at = writeFloat(buffer, at, value);
  return at;
}

const floatBytes = new Uint8Array(4);
const floatView = new DataView(floatBytes.buffer);

function writeFloat(buffer: Uint8Array, at: number, value: number): number {
  floatView.setFloat32(0, value, true);
  for (let i = 0; i < 4; i += 1) buffer[at + i] = floatBytes[i] as number;
  return at + 4;
}

function sizeOfPackedVarints(values: readonly number[]): number {
  return values.length === 0 ? 0 : sizeOfField(sizeOfVarints(values));
}

function sizeOfVarints(values: readonly number[]): number {
  let size = 0;
  for (const value of values) size += sizeOfVarint(value);
  return size;
}

function writePackedVarints(buffer: Uint8Array, start: number, tag: number, values: readonly number[]): number {
  if (values.length === 0) return start;
  let at = writeUint32(buffer, start, tag, sizeOfVarints(values));
  for (const value of values) at = writeVarint(buffer, at, value);
  return at;
}

function writeUint32(buffer: Uint8Array, start: number, tag: number, value: number): number {
  buffer[start] = tag;
  return writeVarint(buffer, start + 1, value);
}

function sizeOfVarint(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

function writeVarint(buffer: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 0x7f) {
    buffer[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}
