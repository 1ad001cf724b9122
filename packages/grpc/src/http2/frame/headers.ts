import { Http2Error } from "../http2-error.ts";
import { FrameFlag, FrameType, maxInt31, readUint32, writeFrameHeader } from "./frame-header.ts";
import { withoutPadding } from "./padding.ts";

/** A HEADERS frame's parts (RFC 9113 section 6.2). */
export interface HeadersPayload {
  /** Where the field block, or its first fragment, lies. */
  readonly start: number;
  readonly end: number;
  /** The stream that this one is said to depend on; undefined without a priority. Nothing but its being the stream itself counts. */
  readonly dependency: number | undefined;
}

/** Takes padding and the deprecated priority fields off. Throws when they do not fit into the frame. */
export function readHeaders(bytes: Uint8Array, start: number, end: number, flags: number): HeadersPayload {
  const content = withoutPadding(bytes, start, end, flags);
  if ((flags & FrameFlag.PRIORITY) === 0) return { start: content.start, end: content.end, dependency: undefined };
  if (content.end - content.start < 5) throw new Http2Error("FRAME_SIZE_ERROR", "HEADERS is too short for a priority");
  return {
    start: content.start + 5,
    end: content.end,
    dependency: readUint32(bytes, content.start) & maxInt31,
  };
}

/** Writes the header of a HEADERS frame, or of a CONTINUATION; the fragment follows at the place answered. */
export function writeHeadersHeader(
  out: Uint8Array,
  at: number,
  streamId: number,
  length: number,
  frame: { readonly first: boolean; readonly last: boolean; readonly endStream: boolean },
): number {
  const flags = (frame.last ? FrameFlag.END_HEADERS : 0) | (frame.first && frame.endStream ? FrameFlag.END_STREAM : 0);
  return writeFrameHeader(out, at, length, frame.first ? FrameType.HEADERS : FrameType.CONTINUATION, flags, streamId);
}
