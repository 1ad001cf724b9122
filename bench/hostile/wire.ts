/** Frames as a hostile client writes them, by RFC 9113 section 6 and RFC 7541, with no check at all. */

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;

export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = noBytes): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, 9);
  return bytes;
}

/** SETTINGS of `[id, value]` pairs. */
export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length);
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return frame(FrameType.SETTINGS, 0, 0, payload);
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function reset(streamId: number): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, uint32(8));
}

/** The field block of a gRPC request, without use of the table, and then what is given. */
export function requestBlock(path: string, more: Uint8Array = noBytes): Buffer {
  return Buffer.concat([
    Buffer.of(0x83, 0x86, 0x04, path.length),
    Buffer.from(path),
    Buffer.of(0x0f, 0x10, 16),
    Buffer.from("application/grpc"),
    more,
  ]);
}

/** A field written out. With `kept` it goes into the server's table. */
export function field(name: string, value: Uint8Array, kept = false): Buffer {
  return Buffer.concat([Buffer.of(kept ? 0x40 : 0, name.length), Buffer.from(name), integer(value.length), value]);
}

/** A gRPC message behind its prefix. */
export function message(body: Uint8Array, compressed = false): Buffer {
  return Buffer.concat([Buffer.of(compressed ? 1 : 0), uint32(body.length), body]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A string's length (RFC 7541 section 5.1, prefix of seven bits). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let rest = value - 127;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

const noBytes = new Uint8Array();
