import { badFrame } from "../engine-core-error.ts";

/** Bits of a frame's first byte (ZMTP 3.0, rfc.zeromq.org/spec/23, "Traffic"). */
const more = 1;
const long = 2;
const command = 4;

/** A frame's bytes and what it is. */
export interface ZmtpFrame {
  readonly isCommand: boolean;
  /** True when further frames belong to the same message. */
  readonly hasMore: boolean;
  readonly body: Uint8Array;
}

/** The longest frame: a step's outputs with logprobs of a whole vocabulary for hundreds of requests stay below. */
export const maxFrameBytes: number = 512 * 1024 * 1024;

/**
 * Cuts a byte stream into frames, wherever its chunks end. A frame that lies within one chunk is not copied. Throws a bad
 * frame, and is of no use afterwards.
 */
export class ZmtpFrameReader {
  /** A frame that says that it is longer is bad. */
  maxBodyBytes: number = maxFrameBytes;
  #rest: Buffer = Buffer.alloc(0);
  /** Chunks of a frame that is longer than a chunk, with the first in {@link #rest}. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #wantedBytes = 0;

  /** Hands every frame on that is whole now. */
  read(chunk: Buffer, onFrame: (frame: ZmtpFrame) => void): void {
    let bytes = this.#joined(chunk);
    if (bytes === undefined) return;
    for (;;) {
      const head = headOf(bytes, this.maxBodyBytes);
      const end = head === undefined ? Number.POSITIVE_INFINITY : head.bytes + head.bodyBytes;
      if (head === undefined || end > bytes.length) {
        this.#rest = bytes;
        this.#wantedBytes = head === undefined ? bytes.length + 1 : end;
        return;
      }
      const flags = bytes[0] ?? 0;
      const body = bytes.subarray(head.bytes, end);
      bytes = bytes.subarray(end);
      onFrame({ isCommand: (flags & command) !== 0, hasMore: (flags & more) !== 0, body });
    }
  }

  /** What is here with the new chunk, once it is enough for the frame that is waited for: long ones are copied once. */
  #joined(chunk: Buffer): Buffer | undefined {
    if (this.#rest.length === 0 && this.#waitingBytes === 0) return chunk;
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#rest.length + this.#waitingBytes < this.#wantedBytes) return undefined;
    const joined = Buffer.concat([this.#rest, ...this.#waiting]);
    this.#rest = Buffer.alloc(0);
    this.#waiting = [];
    this.#waitingBytes = 0;
    return joined;
  }
}

function headOf(
  bytes: Buffer,
  maxBodyBytes: number,
): { readonly bytes: number; readonly bodyBytes: number } | undefined {
  const [flags] = bytes;
  if (flags === undefined) return undefined;
  if (flags > (more | long | command)) throw badFrame(`a ZMTP frame begins with the unknown flags ${flags}`);
  const isLong = (flags & long) !== 0;
  if (bytes.length < (isLong ? 9 : 2)) return undefined;
  const bodyBytes = isLong ? Number(bytes.readBigUInt64BE(1)) : (bytes[1] ?? 0);
  if (bodyBytes > maxBodyBytes) throw badFrame(`a ZMTP frame of ${bodyBytes} bytes; ${maxBodyBytes} are allowed`);
  return { bytes: isLong ? 9 : 2, bodyBytes };
}

/** A message as bytes: its frames, each but the last with "more". */
export function encodeMessage(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(frames.flatMap((body, index) => [head(body, index < frames.length - 1 ? more : 0), body]));
}

export function encodeCommand(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from([name.length]), Buffer.from(name, "latin1"), data]);
  return Buffer.concat([head(body, command), body]);
}

function head(body: Uint8Array, flags: number): Buffer {
  if (body.length < 256) return Buffer.from([flags, body.length]);
  const bytes = Buffer.alloc(9);
  bytes[0] = flags | long;
  bytes.writeBigUInt64BE(BigInt(body.length), 1);
  return bytes;
}
