import { frameHeaderBytes, readFrameHeader } from "../frame/frame-header.ts";
import { Http2Error } from "../http2-error.ts";

/** What a client sends before anything else (RFC 9113 section 3.4). */
export const clientPreface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Takes one frame whose payload lies whole between `start` and `end`. */
export type FrameSink = (
  type: number,
  flags: number,
  streamId: number,
  bytes: Uint8Array,
  start: number,
  end: number,
) => void;

/**
 * Cuts the bytes of a connection into frames. A payload that lies whole in what came is handed on as a place in it;
 * one that comes in pieces is put together in a buffer of its own, which is never used again, because a decoded
 * message may keep views of it.
 */
export class FrameReader {
  readonly #maxFrameBytes: number;
  readonly #sink: FrameSink;
  #prefaceAt = 0;
  readonly #head = Buffer.alloc(frameHeaderBytes);
  #headFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;

  constructor(maxFrameBytes: number, sink: FrameSink) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#sink = sink;
  }

  /** True once the client's preface has come whole. */
  get hasPreface(): boolean {
    return this.#prefaceAt === clientPreface.length;
  }

  /**
   * Reads on, up to `maxFrames` frames (default: all), and answers up to where it read. What is behind it has to come again.
   * Throws {@link Http2Error} for a wrong preface, for a frame too long, and what the sink throws.
   */
  read(bytes: Uint8Array, maxFrames: number = Number.POSITIVE_INFINITY): number {
    let at = this.hasPreface ? 0 : this.#readPreface(bytes);
    if (this.#headFilled > 0) at = this.#readHeld(bytes, at);
    for (let frames = 0; bytes.length - at >= frameHeaderBytes; frames += 1) {
      if (frames >= maxFrames) return at;
      const { length, type, flags, streamId } = readFrameHeader(bytes, at);
      this.#checkLength(length);
      const start = at + frameHeaderBytes;
      const end = start + length;
      if (end > bytes.length) break;
      at = end;
      this.#sink(type, flags, streamId, bytes, start, end);
    }
    if (at < bytes.length) this.#hold(bytes, at);
    return bytes.length;
  }

  #readPreface(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, clientPreface.length - this.#prefaceAt);
    for (let i = 0; i < length; i += 1) {
      if (bytes[i] !== clientPreface[this.#prefaceAt + i]) {
        throw new Http2Error("PROTOCOL_ERROR", "the connection does not begin with HTTP/2's preface");
      }
    }
    this.#prefaceAt += length;
    return length;
  }

  /** Goes on with a frame of which a part came before. */
  #readHeld(bytes: Uint8Array, from: number): number {
    let at = from;
    while (this.#headFilled < frameHeaderBytes && at < bytes.length) {
      this.#head[this.#headFilled] = bytes[at] as number;
      this.#headFilled += 1;
      at += 1;
    }
    if (this.#headFilled < frameHeaderBytes) return at;
    const { length, type, flags, streamId } = readFrameHeader(this.#head, 0);
    this.#checkLength(length);
    this.#body ??= Buffer.allocUnsafe(length);
    const taken = Math.min(length - this.#bodyFilled, bytes.length - at);
    this.#body.set(bytes.subarray(at, at + taken), this.#bodyFilled);
    this.#bodyFilled += taken;
    at += taken;
    if (this.#bodyFilled < length) return at;
    const body = this.#body;
    this.#body = undefined;
    this.#bodyFilled = 0;
    this.#headFilled = 0;
    this.#sink(type, flags, streamId, body, 0, length);
    return at;
  }

  #hold(bytes: Uint8Array, at: number): void {
    this.#headFilled = 0;
    this.#readHeld(bytes, at);
  }

  #checkLength(length: number): void {
    if (length > this.#maxFrameBytes) {
      throw new Http2Error("FRAME_SIZE_ERROR", `a frame has ${length} bytes, more than ${this.#maxFrameBytes}`);
    }
  }
}
