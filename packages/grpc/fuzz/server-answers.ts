import { FrameFlag, FrameType } from "../src/http2/frame/frame-header.ts";
import { HpackDecoder } from "../src/http2/hpack/decoder.ts";
import { walkFrames } from "./frame-walk.ts";
import { rule } from "./fuzzer.ts";

const { END_STREAM, ACK, END_HEADERS } = FrameFlag;
const sentTypes: ReadonlySet<number> = new Set([
  FrameType.DATA,
  FrameType.HEADERS,
  FrameType.RST_STREAM,
  FrameType.SETTINGS,
  FrameType.PING,
  FrameType.GOAWAY,
  FrameType.WINDOW_UPDATE,
  FrameType.CONTINUATION,
]);
const largestFrameBytes = 16_384;
const prefaceBytes = 24;

/** A stream as its client would see it. */
interface SeenStream {
  headers: number;
  content: Uint8Array[];
  contentBytes: number;
  ended: boolean;
  reset: boolean;
  isGrpc: boolean;
}

/** What a client gave leave to send, taken generously: everything that it ever said counts. */
interface Leave {
  readonly connectionBytes: number;
  readonly initialBytes: number;
  readonly streamBytes: ReadonlyMap<number, number>;
  readonly streams: ReadonlySet<number>;
}

/**
 * Reads a server's whole output as a client would and throws where it is not what RFC 9113 and gRPC allow: frames of
 * known kinds and sizes, streams that the client opened, nothing behind a stream's end, field blocks that decode, no
 * more content than the windows allow, whole messages, one GOAWAY with an error and nothing behind it.
 */
export function checkAnswers(
  input: Uint8Array,
  output: Uint8Array,
  failure: string | undefined,
): { readonly outcome: string; readonly overheadBytes: number } {
  const { frames, rest } = walkFrames(output);
  rule(rest.length === 0, () => "the output ends within a frame");
  const leave = readLeave(input);
  const decoder = new HpackDecoder();
  const streams = new Map<number, SeenStream>();
  let sentBytes = 0;
  let failed = false;
  let block: { readonly id: number; readonly flags: number; parts: Uint8Array[] } | undefined;
  const counts = new Uint8Array(10);
  for (const { type, flags, streamId, payload } of frames) {
    rule(sentTypes.has(type), () => `a frame of type ${type}`);
    rule(payload.length <= largestFrameBytes, () => `a frame of ${payload.length} bytes`);
    rule(!failed, () => "a frame behind the last GOAWAY");
    rule(block === undefined || type === FrameType.CONTINUATION, () => "a field block is interrupted");
    counts[type] = (counts[type] as number) + 1;
    switch (type) {
      case FrameType.DATA: {
        const stream = openStream(streams, streamId);
        rule(stream.headers === 1, () => `DATA on stream ${streamId} behind ${stream.headers} field sections`);
        stream.content.push(payload);
        stream.contentBytes += payload.length;
        sentBytes += payload.length;
        stream.ended = (flags & END_STREAM) !== 0;
        const most = leave.initialBytes + (leave.streamBytes.get(streamId) ?? 0);
        rule(stream.contentBytes <= most, () => `stream ${streamId} got more than the ${most} bytes it allows`);
        rule(sentBytes <= leave.connectionBytes, () => `more than the connection's ${leave.connectionBytes} bytes`);
        break;
      }
      case FrameType.HEADERS:
        rule(leave.streams.has(streamId), () => `an answer on stream ${streamId}, which nobody opened`);
        block = { id: streamId, flags, parts: [payload] };
        break;
      case FrameType.CONTINUATION:
        rule(block !== undefined && block.id === streamId, () => "CONTINUATION without HEADERS");
        block?.parts.push(payload);
        break;
      case FrameType.RST_STREAM: {
        rule(payload.length === 4, () => "RST_STREAM's length");
        const stream = streams.get(streamId);
        if (stream !== undefined) stream.reset = true;
        break;
      }
      case FrameType.SETTINGS:
        rule(streamId === 0 && payload.length % 6 === 0, () => "SETTINGS' form");
        rule((flags & ACK) === 0 || payload.length === 0, () => "an ACK with content");
        break;
      case FrameType.PING:
        rule(streamId === 0 && payload.length === 8, () => "PING's form");
        break;
      case FrameType.WINDOW_UPDATE:
        rule(payload.length === 4 && Buffer.from(payload).readInt32BE() > 0, () => "WINDOW_UPDATE's form");
        break;
      case FrameType.GOAWAY:
        rule(streamId === 0 && payload.length >= 8, () => "GOAWAY's form");
        failed = Buffer.from(payload).toString("utf8", 8) === failure && failure !== "";
        break;
    }
    if (block !== undefined && (flags & END_HEADERS) !== 0) {
      const bytes = Buffer.concat(block.parts);
      const { fields } = decoder.decode(bytes, 0, bytes.length, 1 << 20);
      takeFields(streams, block.id, fields, (block.flags & END_STREAM) !== 0);
      block = undefined;
    }
  }
  rule(block === undefined, () => "a field block without end");
  rule((failure !== undefined) === failed, () => `GOAWAY does not say "${failure}"`);
  for (const [id, stream] of streams) if (stream.ended && stream.isGrpc) checkMessages(id, stream.content);
  return { outcome: counts.map((count) => Math.min(4, count)).join(""), overheadBytes: output.length - sentBytes };
}

function openStream(streams: Map<number, SeenStream>, id: number): SeenStream {
  const stream = streams.get(id);
  rule(stream !== undefined && !stream.ended && !stream.reset, () => `a frame on stream ${id}, which is not open`);
  return stream as SeenStream;
}

function takeFields(streams: Map<number, SeenStream>, id: number, fields: readonly string[], ends: boolean): void {
  const known = streams.get(id);
  const get = (name: string): string | undefined =>
    fields[fields.findIndex((text, i) => i % 2 === 0 && text === name) + 1];
  if (known === undefined) {
    rule(fields[0] === ":status", () => "an answer does not begin with its status");
    const isGrpc = fields.includes("application/grpc");
    rule(!isGrpc || fields[1] === "200", () => "a gRPC answer with another status than 200");
    rule(!ends || !isGrpc || fields.includes("grpc-status"), () => "an answer ends without grpc-status");
    streams.set(id, { headers: 1, content: [], contentBytes: 0, ended: ends, reset: false, isGrpc });
    return;
  }
  const stream = openStream(streams, id);
  const status = Number(get("grpc-status"));
  rule(ends && stream.headers === 1, () => `another field section on stream ${id}`);
  rule(status >= 0 && status <= 16, () => `grpc-status is ${get("grpc-status")}`);
  stream.headers = 2;
  stream.ended = true;
}

/** Content that came to its end is whole messages. A status may cut the last one off when it is not OK. */
function checkMessages(id: number, content: readonly Uint8Array[]): void {
  const bytes = Buffer.concat(content);
  for (let at = 0; at < bytes.length; ) {
    rule((bytes[at] as number) <= 1, () => `a message on stream ${id} begins with ${bytes[at]}`);
    if (at + 5 > bytes.length) return;
    at += 5 + bytes.readUInt32BE(at + 1);
  }
}

function readLeave(input: Uint8Array): Leave {
  let connectionBytes = 65_535;
  let initialBytes = 65_535;
  const streamBytes = new Map<number, number>();
  const streams = new Set<number>();
  for (const { type, streamId, payload } of walkFrames(input.subarray(prefaceBytes)).frames) {
    if (type === FrameType.HEADERS) streams.add(streamId);
    if (type === FrameType.WINDOW_UPDATE && payload.length === 4) {
      const increment = Buffer.from(payload).readUInt32BE() % 2 ** 31;
      if (streamId === 0) connectionBytes += increment;
      else streamBytes.set(streamId, (streamBytes.get(streamId) ?? 0) + increment);
    }
    if (type !== FrameType.SETTINGS) continue;
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const entry = Buffer.from(payload.subarray(at, at + 6));
      if (entry.readUInt16BE() === 4) initialBytes = Math.max(initialBytes, entry.readUInt32BE(2));
    }
  }
  return { connectionBytes, initialBytes, streamBytes, streams };
}
