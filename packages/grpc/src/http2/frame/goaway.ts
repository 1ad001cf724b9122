import { Http2Error } from "../http2-error.ts";
import { FrameType, frameHeaderBytes, maxInt31, readUint32, writeFrameHeader, writeUint32 } from "./frame-header.ts";

/** A GOAWAY frame (RFC 9113 section 6.8). */
export interface GoAway {
  readonly lastStreamId: number;
  readonly errorCode: number;
}

/** Length of a GOAWAY frame with so many bytes of debug data. */
export function goAwayFrameBytes(debugBytes: number): number {
  return frameHeaderBytes + 8 + debugBytes;
}

/** Reads a GOAWAY; its debug data is not looked at. */
export function readGoAway(bytes: Uint8Array, start: number, end: number): GoAway {
  if (end - start < 8) throw new Http2Error("FRAME_SIZE_ERROR", `GOAWAY has ${end - start} bytes, fewer than 8`);
  return { lastStreamId: readUint32(bytes, start) & maxInt31, errorCode: readUint32(bytes, start + 4) };
}

export function writeGoAway(out: Uint8Array, at: number, goAway: GoAway, debug: Uint8Array): number {
  let end = writeFrameHeader(out, at, 8 + debug.length, FrameType.GOAWAY, 0, 0);
  end = writeUint32(out, writeUint32(out, end, goAway.lastStreamId), goAway.errorCode);
  out.set(debug, end);
  return end + debug.length;
}
