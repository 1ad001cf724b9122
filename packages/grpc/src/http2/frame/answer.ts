import { copyBytes } from "./copy-bytes.ts";
import { FrameFlag, FrameType, frameHeaderBytes, writeFrameHeader } from "./frame-header.ts";
import { messagePrefixBytes, writeMessagePrefix } from "./message-prefix.ts";

/** Encoded field blocks, each short enough for one frame. */
export interface AnswerBlocks {
  readonly header: Uint8Array;
  readonly trailers: Uint8Array;
}

/** Bytes of content that an answer of one message has, which flow control counts. */
export function answerContentBytes(messageBytes: number): number {
  return messagePrefixBytes + messageBytes;
}

/** Bytes of a whole answer at most, with two blocks of at most `blockBytes` each. */
export function maxAnswerBytes(blockBytes: number, messageBytes: number): number {
  return 3 * frameHeaderBytes + 2 * blockBytes + messagePrefixBytes + messageBytes;
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
  at = writeFrameHeader(out, at, messagePrefixBytes + messageBytes, FrameType.DATA, 0, streamId);
  at = writeMessagePrefix(out, at, 0, messageBytes);
  at = copyBytes(message, messageBytes, out, at);
  const flags = FrameFlag.END_HEADERS | FrameFlag.END_STREAM;
  at = writeFrameHeader(out, at, trailers.length, FrameType.HEADERS, flags, streamId);
  return copyBytes(trailers, trailers.length, out, at);
}
