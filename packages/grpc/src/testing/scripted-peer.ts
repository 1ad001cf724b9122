import assert from "node:assert/strict";
import { Connection } from "../http2/connection/connection.ts";
import { clientPreface } from "../http2/connection/frame-reader.ts";
import type { Stream } from "../http2/connection/stream.ts";
import { type ErrorName, errorName } from "../http2/error-code.ts";
import { FrameFlag, FrameType, readFrameHeader, readUint32, writeFrameHeader } from "../http2/frame/frame-header.ts";
import { HpackDecoder } from "../http2/hpack/decoder.ts";
import { HpackEncoder } from "../http2/hpack/encoder.ts";
import { type Limits, limitsOf } from "../limits.ts";

/** A frame that the server sent. */
export interface SentFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of HEADERS: names and values by turns. */
  readonly fields: readonly string[];
}

/** What a stream of the server saw, in order. */
export interface Seen {
  readonly stream: Stream;
  readonly events: string[];
  readonly bytes: number;
}

const request = [":method", "POST", ":scheme", "http", ":path", "/test.Text/Echo", "content-type", "application/grpc"];

/** Plays the client of a connection in memory, frame by frame, with a clock in its hand. */
export class ScriptedPeer {
  readonly connection: Connection;
  readonly seen: Map<number, Seen> = new Map();
  nowMs = 0;
  #outputs = 0;
  readonly #encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder();
  #rest: Buffer = Buffer.alloc(0);
  readonly #consume: boolean;

  /** `consume` (default true) gives credit back for all content at once. */
  constructor(limits: Partial<Limits> = {}, consume = true) {
    this.#consume = consume;
    this.connection = new Connection(
      limitsOf(limits),
      { onRequest: (stream) => this.#watch(stream), onOutput: () => this.#countOutput() },
      0,
      0.5,
    );
  }

  /** How often the connection asked from outside of `receive` to be looked at. */
  get outputs(): number {
    return this.#outputs;
  }

  /** Preface and SETTINGS; answers the frames that the server begins with. */
  begin(settings: Buffer = Buffer.alloc(0)): SentFrame[] {
    this.receive(clientPreface);
    this.frame(FrameType.SETTINGS, 0, 0, settings);
    return this.sent();
  }

  receive(bytes: Uint8Array): void {
    this.connection.receive(bytes, this.nowMs);
  }

  frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): void {
    this.receive(frameBytes(type, flags, streamId, payload));
  }

  /** Opens a stream; `more` fields follow those of a gRPC request. */
  open(streamId: number, endStream = false, more: readonly string[] = []): void {
    const flags = FrameFlag.END_HEADERS | (endStream ? FrameFlag.END_STREAM : 0);
    this.frame(FrameType.HEADERS, flags, streamId, this.block([...request, ...more]));
  }

  block(fields: readonly string[]): Buffer {
    const out = Buffer.alloc(this.#encoder.maxBytes(fields));
    let end = 0;
    for (let i = 0; i < fields.length; i += 2) {
      end = this.#encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, "index");
    }
    return out.subarray(0, end);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
  }

  /** Takes what the server has to say now. */
  sent(): SentFrame[] {
    this.#rest = Buffer.concat([this.#rest, ...this.connection.take()]);
    const frames: SentFrame[] = [];
    let at = 0;
    while (this.#rest.length - at >= 9) {
      const { length, type, flags, streamId } = readFrameHeader(this.#rest, at);
      const payload = Buffer.from(this.#rest.subarray(at + 9, at + 9 + length));
      at += 9 + length;
      const fields = type === FrameType.HEADERS ? this.#decoder.decode(payload, 0, length, 1 << 20).fields : [];
      frames.push({ type, flags, streamId, payload, fields });
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }

  /** The error of the GOAWAY that the server sent last, or undefined; asserts that the connection is at its end then. */
  goAway(): { readonly code: string; readonly lastStreamId: number; readonly reason: string } | undefined {
    const frame = this.sent().findLast(({ type }) => type === FrameType.GOAWAY);
    if (frame === undefined) return undefined;
    return {
      code: errorName(readUint32(frame.payload, 4)),
      lastStreamId: readUint32(frame.payload, 0),
      reason: frame.payload.toString("utf8", 8),
    };
  }

  /** Asserts that the connection ended with this error. */
  endsWith(code: ErrorName, what = ""): void {
    assert.equal(this.goAway()?.code, code, what);
    assert.equal(this.connection.finished, true, what);
    assert.equal(this.connection.streamCount, 0, what);
  }

  /** Asserts that a stream, and it alone, was reset with this error. */
  resets(streamId: number, code: ErrorName): void {
    const resets = this.sent().filter(({ type }) => type === FrameType.RST_STREAM);
    assert.deepEqual(
      resets.map((frame) => [frame.streamId, errorName(readUint32(frame.payload, 0))]),
      [[streamId, code]],
    );
    assert.equal(this.connection.finished, false);
  }

  stream(streamId: number): Stream {
    const seen = this.seen.get(streamId);
    assert.ok(seen, `stream ${streamId} was not opened`);
    return seen.stream;
  }

  #countOutput(): void {
    this.#outputs += 1;
  }

  #watch(stream: Stream): void {
    const seen = { stream, events: [] as string[], bytes: 0 };
    this.seen.set(stream.id, seen);
    stream.handler = {
      onData: (_bytes, start, end, last) => {
        seen.bytes += end - start;
        seen.events.push(last ? "end" : "data");
        if (this.#consume) stream.consume(end - start);
      },
      onReset: () => seen.events.push("reset"),
      onSent: () => seen.events.push("sent"),
      onWritable: () => seen.events.push("writable"),
    };
  }
}

export function frameBytes(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, streamId));
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** One entry of a SETTINGS frame. */
export function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUInt16BE(id);
  bytes.writeUInt32BE(value, 2);
  return bytes;
}
