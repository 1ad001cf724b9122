import { copyBytes } from "./copy-bytes.ts";
import { FrameFlag, FrameType, frameHeaderBytes, writeFrameHeader } from "./frame-header.ts";

/** What stands in front of a message: its compressed flag and its length (grpc/grpc, doc/PROTOCOL-HTTP2.md). */
const prefixBytes = 5;

/** Encoded field blocks, each short enough for one frame. */
export interface AnswerBlocks {
  readonly header: Uint8Array;
  readonly trailers: Uint8Array;
}

/** Bytes of content that an answer of one message has, which flow control counts. */
export function answerContentBytes(messageBytes: number): number {
  return prefixBytes + messageBytes;
}

/** Bytes of a whole answer at most, with two blocks of at most `blockBytes` each. */
export function maxAnswerBytes(blockBytes: number, messageBytes: number): number {
  return 3 * frameHeaderBytes + 2 * blockBytes + prefixBytes + messageBytes;
}

/**
 * Writes a whole answer of one message, the first `messageBytes` (at most 16,379) of `message`: HEADERS, DATA, HEADERS.
 * Answers its end. In one function, because a compiler makes more of it than of its calls (bench/transport, m100).
 */
export function writeAnswer(
  out: Uint8Array,
  start: number,
  streamId: number,
  { header, trailers }: AnswerBlocks,
  message: Uint8Array,
  messageBytes: number,
): number {
  let at = writeFrameHeader(out, start, header.length, FrameType.HEADERS, FrameFlag.END_HEADERS, streamId);
  at = copyBytes(header, header.length, out, at);
  at = writeFrameHeader(out, at, prefixBytes + messageBytes, FrameType.DATA, 0, streamId);
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = 0;
  out[at + 3] = messageBytes >>> 8;
  out[at + 4] = messageBytes;
  at = copyBytes(message, messageBytes, out, at + prefixBytes);
  const flags = FrameFlag.END_HEADERS | FrameFlag.END_STREAM;
  at = writeFrameHeader(out, at, trailers.length, FrameType.HEADERS, flags, streamId);
  return copyBytes(trailers, trailers.length, out, at);
}
