import { Http2Error } from "../http2-error.ts";
import { FrameType, frameHeaderBytes, readUint32, writeFrameHeader, writeUint32 } from "./frame-header.ts";

/** Length of a whole RST_STREAM frame. */
export const rstStreamBytes: number = frameHeaderBytes + 4;

/** The error code of a RST_STREAM frame (RFC 9113 section 6.4). */
export function readRstStream(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 4) throw new Http2Error("FRAME_SIZE_ERROR", `RST_STREAM has ${end - start} bytes and not 4`);
  return readUint32(bytes, start);
}

export function writeRstStream(out: Uint8Array, at: number, streamId: number, errorCode: number): number {
  return writeUint32(out, writeFrameHeader(out, at, 4, FrameType.RST_STREAM, 0, streamId), errorCode);
}
