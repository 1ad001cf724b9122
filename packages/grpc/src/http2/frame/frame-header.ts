/** Frame types (RFC 9113 section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags. What a bit means depends on the frame's type; ACK and END_STREAM share theirs. */
export const FrameFlag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Length of every frame's header. */
export const frameHeaderBytes = 9;
/** Payload length that every peer takes, and that ours takes at most (RFC 9113 section 4.2). */
export const defaultMaxFrameBytes = 16_384;
/** Largest window and stream number: the top bit is reserved. */
export const maxInt31 = 0x7fff_ffff;

/**
 * A frame's header:
 *
 * | bytes | field |
 * | --- | --- |
 * | 0–2 | payload length |
 * | 3 | type |
 * | 4 | flags |
 * | 5–8 | stream number, top bit ignored |
 */
export interface FrameHeader {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
}

/** Reads the nine bytes at `at`. The caller has made sure that they are there. */
export function readFrameHeader(bytes: Uint8Array, at: number): FrameHeader {
  return {
    length: readUint24(bytes, at),
    type: bytes[at + 3] as number,
    flags: bytes[at + 4] as number,
    streamId: readUint32(bytes, at + 5) & maxInt31,
  };
}

/**
 * Writes the nine bytes at `at` and answers where the payload begins. Flat, so that it is compiled into its callers
 * (bench/transport, m100).
 */
export function writeFrameHeader(
  out: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  out[at] = length >>> 16;
  out[at + 1] = length >>> 8;
  out[at + 2] = length;
  out[at + 3] = type;
  out[at + 4] = flags;
  out[at + 5] = streamId >>> 24;
  out[at + 6] = streamId >>> 16;
  out[at + 7] = streamId >>> 8;
  out[at + 8] = streamId;
  return at + frameHeaderBytes;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}

export function readUint24(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
}

export function readUint32(bytes: Uint8Array, at: number): number {
  const low = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return (((bytes[at] as number) << 24) | low) >>> 0;
}

export function writeUint16(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 8;
  out[at + 1] = value;
  return at + 2;
}

/** Writes a length; a DATA frame that grows gets its length rewritten with this. */
export function writeUint24(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 16;
  return writeUint16(out, at + 1, value);
}

export function writeUint32(out: Uint8Array, at: number, value: number): number {
  out[at] = value >>> 24;
  return writeUint24(out, at + 1, value);
}
