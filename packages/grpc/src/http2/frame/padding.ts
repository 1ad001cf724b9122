import { Http2Error } from "../http2-error.ts";
import { FrameFlag } from "./frame-header.ts";

/** A part of a buffer: from `start` up to and without `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * Takes the padding off a payload (RFC 9113 section 6.1): one byte that says how long it is, the content, then as many
 * bytes. Throws PROTOCOL_ERROR when the padding does not leave room for itself.
 */
export function withoutPadding(bytes: Uint8Array, start: number, end: number, flags: number): Span {
  if ((flags & FrameFlag.PADDED) === 0) return { start, end };
  if (start === end) throw new Http2Error("FRAME_SIZE_ERROR", "a padded frame has no byte for the padding's length");
  const padding = bytes[start] as number;
  if (padding >= end - start) throw new Http2Error("PROTOCOL_ERROR", "the padding is as long as the frame or longer");
  return { start: start + 1, end: end - padding };
}
