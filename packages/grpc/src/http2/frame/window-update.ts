import { Http2Error } from "../http2-error.ts";
import { FrameType, frameHeaderBytes, maxInt31, readUint32, writeFrameHeader, writeUint32 } from "./frame-header.ts";

/** Length of a whole WINDOW_UPDATE frame. */
export const windowUpdateBytes: number = frameHeaderBytes + 4;

/** The increment of a WINDOW_UPDATE (RFC 9113 section 6.9); 0 is an error that the caller scopes. */
export function readWindowUpdate(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 4) throw new Http2Error("FRAME_SIZE_ERROR", `WINDOW_UPDATE has ${end - start} bytes and not 4`);
  return readUint32(bytes, start) & maxInt31;
}

/** `streamId` 0 is the connection. */
export function writeWindowUpdate(out: Uint8Array, at: number, streamId: number, increment: number): number {
  return writeUint32(out, writeFrameHeader(out, at, 4, FrameType.WINDOW_UPDATE, 0, streamId), increment);
}
