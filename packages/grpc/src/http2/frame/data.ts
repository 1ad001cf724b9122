import { FrameFlag, FrameType, writeFrameHeader } from "./frame-header.ts";
import { type Span, withoutPadding } from "./padding.ts";

/** Where the content of a DATA frame lies in its payload (RFC 9113 section 6.1). */
export function readData(bytes: Uint8Array, start: number, end: number, flags: number): Span {
  return withoutPadding(bytes, start, end, flags);
}

/** Writes a DATA frame's header; its content follows at the place answered. Ours are never padded. */
export function writeDataHeader(
  out: Uint8Array,
  at: number,
  streamId: number,
  length: number,
  endStream: boolean,
): number {
  return writeFrameHeader(out, at, length, FrameType.DATA, endStream ? FrameFlag.END_STREAM : 0, streamId);
}
