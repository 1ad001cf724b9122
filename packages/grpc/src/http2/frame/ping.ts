import { Http2Error } from "../http2-error.ts";
import { FrameFlag, FrameType, frameHeaderBytes, writeFrameHeader } from "./frame-header.ts";

/** Length of a PING frame's payload (RFC 9113 section 6.7). */
export const pingPayloadBytes = 8;
/** Length of a whole PING frame. */
export const pingFrameBytes: number = frameHeaderBytes + pingPayloadBytes;

/** The eight bytes of a PING, as a view. */
export function readPing(bytes: Uint8Array, start: number, end: number): Uint8Array {
  if (end - start !== pingPayloadBytes) {
    throw new Http2Error("FRAME_SIZE_ERROR", `PING has ${end - start} bytes and not 8`);
  }
  return bytes.subarray(start, end);
}

export function writePing(out: Uint8Array, at: number, payload: Uint8Array, ack: boolean): number {
  const start = writeFrameHeader(out, at, pingPayloadBytes, FrameType.PING, ack ? FrameFlag.ACK : 0, 0);
  out.set(payload, start);
  return start + pingPayloadBytes;
}
