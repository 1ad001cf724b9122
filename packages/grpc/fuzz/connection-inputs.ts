import { gzipSync } from "node:zlib";
import { clientPreface } from "../src/http2/connection/frame-reader.ts";
import { FrameFlag, FrameType, frameHeaderBytes, writeFrameHeader } from "../src/http2/frame/frame-header.ts";
import { HpackEncoder, type Indexing } from "../src/http2/hpack/encoder.ts";
import type { Random } from "./random.ts";

const { END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY } = FrameFlag;
const methods = ["U", "A", "F", "S", "W", "C", "B", "D", "S", "U", "?"] as const;
const indexings: readonly Indexing[] = ["index", "index", "plain", "never"];
const strangeFields: readonly (readonly [string, string])[] = [
  ["grpc-timeout", "1S"],
  ["grpc-timeout", "200m"],
  ["grpc-timeout", "0n"],
  ["grpc-timeout", "-1S"],
  ["grpc-encoding", "gzip"],
  ["grpc-encoding", "br"],
  ["grpc-accept-encoding", "identity, gzip"],
  ["content-length", "7"],
  ["content-length", "x"],
  ["te", "trailers"],
  ["te", "gzip"],
  ["connection", "close"],
  ["x-bin", "AAE=,Ag"],
  ["Upper", "a"],
  ["a", "b\0"],
  ["a", " b"],
  [":path", "/"],
  [":authority", "h"],
  ["big", "v".repeat(150)],
];
/** One that the table keeps, so that a few bytes ask for it again. */
const longPath = "\xe9".repeat(400);
const increments = [0, 1, 5, 100, 40_000, 0x7fff_ffff, 0x7fff_0000] as const;
const settingValues = [0, 1, 5, 100, 4096, 16_384, 65_535, 65_536, 16_777_215, 0x7fff_ffff, 0xffff_ffff] as const;
const compressed = ["", "hello", "a".repeat(90), "b".repeat(5_000), "c".repeat(100_000)].map((text) => gzipSync(text));

/** Writes what a client may send: mostly by the rules, sometimes a little beside them. */
export class ClientScript {
  readonly #random: Random;
  readonly #encoder = new HpackEncoder();
  readonly #parts: Uint8Array[] = [];
  readonly #open: number[] = [];
  #nextId = 1;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Preface and SETTINGS, nearly always whole. */
  begin(): void {
    if (!this.#random.oneIn(200)) this.#parts.push(clientPreface);
    if (!this.#random.oneIn(100)) this.#settings();
  }

  /** One frame, or a few that belong together. */
  step(): void {
    const random = this.#random;
    switch (random.below(17)) {
      case 16:
        this.#again();
        return;
      case 0:
      case 1:
      case 2:
      case 3:
        this.#request();
        return;
      case 4:
      case 5:
      case 6:
      case 7:
        this.#data();
        return;
      case 8:
        this.#settings();
        return;
      case 9:
      case 10:
        this.#frame(FrameType.WINDOW_UPDATE, 0, random.oneIn(2) ? 0 : this.#anyId(), uint32(random.pick(increments)));
        return;
      case 11:
        this.#frame(FrameType.RST_STREAM, 0, this.#anyId(), uint32(random.below(15)));
        return;
      case 12:
        this.#frame(FrameType.PING, random.oneIn(2) ? ACK : 0, 0, this.#pingPayload());
        return;
      case 13:
        this.#frame(FrameType.SETTINGS, ACK, 0, new Uint8Array());
        return;
      case 14:
        this.#rest();
        return;
      default:
        this.#trailers();
    }
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #request(): void {
    const random = this.#random;
    const id = random.oneIn(20) ? this.#anyId() : this.#nextId;
    this.#nextId = Math.max(this.#nextId, id + 2);
    const fields = [":method", "POST", ":scheme", "http", ":path", `/t.T/${random.pick(methods)}`];
    fields.push("content-type", "application/grpc");
    if (random.oneIn(20)) fields[5] = longPath;
    if (random.oneIn(12)) fields[random.below(fields.length)] = random.pick(["GET", "", "/x", ":status", "text/html"]);
    for (let left = random.oneIn(2) ? random.below(4) : 0; left > 0; left -= 1)
      fields.push(...random.pick(strangeFields));
    const ends = random.oneIn(6);
    this.#block(id, this.#encode(fields), ends);
    if (!ends) this.#open.push(id);
    if (!ends && random.oneIn(2)) this.#content(id, this.#message(), true);
  }

  #trailers(): void {
    if (this.#open.length === 0) return;
    this.#block(this.#anyId(), this.#encode(["a", "b"]), !this.#random.oneIn(6));
  }

  #data(): void {
    const random = this.#random;
    let content: Uint8Array = new Uint8Array();
    for (let left = random.below(4); left > 0; left -= 1) content = Buffer.concat([content, this.#message()]);
    if (random.oneIn(4)) content = content.subarray(0, random.below(content.length + 1));
    this.#content(this.#anyId(), content, random.oneIn(3));
  }

  /** A message's bytes cut anywhere, over one or several DATA frames. */
  #content(id: number, content: Uint8Array, ends: boolean): void {
    const random = this.#random;
    let at = 0;
    while (random.oneIn(3) && at < content.length) {
      const end = at + random.below(content.length - at + 1);
      this.#padded(FrameType.DATA, 0, id, content.subarray(at, end));
      at = end;
    }
    this.#padded(FrameType.DATA, ends ? END_STREAM : 0, id, content.subarray(at));
  }

  #message(): Uint8Array {
    const random = this.#random;
    const isCompressed = random.oneIn(6);
    const body = isCompressed
      ? random.pick(compressed)
      : random.bytes(random.oneIn(6) ? random.below(300) : random.below(12));
    const message = new Uint8Array(5 + body.length);
    message[0] = random.oneIn(40) ? 2 : isCompressed ? 1 : 0;
    new DataView(message.buffer).setUint32(1, random.oneIn(40) ? random.next() : body.length);
    message.set(body, 5);
    // A small first byte, because methods read it as a number of messages or as a status.
    if (!isCompressed && body.length > 0 && !random.oneIn(8)) message[5] = random.below(18);
    return message;
  }

  #encode(fields: readonly string[]): Uint8Array {
    const random = this.#random;
    const out = new Uint8Array(this.#encoder.maxBytes(fields));
    if (random.oneIn(20)) this.#encoder.limitTable(random.below(200), random.below(5000));
    let end = this.#encoder.encodeUpdates(out, 0);
    for (let i = 0; i < fields.length; i += 2) {
      end = this.#encoder.encode(out, end, fields[i] as string, fields[i + 1] as string, random.pick(indexings));
    }
    if (random.oneIn(40)) out[random.below(end)] = random.next();
    return out.subarray(0, end);
  }

  /** A field block in HEADERS and, sometimes, CONTINUATION. */
  #block(id: number, block: Uint8Array, ends: boolean): void {
    const random = this.#random;
    let first = block;
    let rest: Uint8Array | undefined;
    if (random.oneIn(6)) {
      const cut = random.below(block.length + 1);
      first = block.subarray(0, cut);
      rest = block.subarray(cut);
    }
    let flags = (ends ? END_STREAM : 0) | (rest === undefined ? END_HEADERS : 0);
    if (random.oneIn(8)) {
      flags |= PRIORITY;
      first = Buffer.concat([uint32(random.oneIn(10) ? id : random.next()), Buffer.of(16), first]);
    }
    this.#padded(FrameType.HEADERS, flags, id, first);
    if (rest === undefined) return;
    while (random.oneIn(3) && rest.length > 0) {
      const cut = random.below(rest.length + 1);
      this.#frame(FrameType.CONTINUATION, 0, id, rest.subarray(0, cut));
      rest = rest.subarray(cut);
    }
    this.#frame(FrameType.CONTINUATION, random.oneIn(30) ? 0 : END_HEADERS, id, rest);
  }

  #settings(): void {
    const random = this.#random;
    const parts: Uint8Array[] = [];
    for (let left = random.below(4); left > 0; left -= 1) {
      const entry = Buffer.alloc(6);
      const id = random.between(1, 7);
      entry.writeUInt16BE(id);
      entry.writeUInt32BE(random.oneIn(30) ? random.pick(settingValues) : usualSetting(id, random), 2);
      parts.push(entry);
    }
    this.#frame(FrameType.SETTINGS, 0, 0, Buffer.concat(parts));
  }

  #rest(): void {
    const random = this.#random;
    switch (random.below(4)) {
      case 0:
        this.#frame(FrameType.PRIORITY, 0, this.#anyId(), Buffer.concat([uint32(random.below(9)), Buffer.of(1)]));
        return;
      case 1:
        this.#frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(random.below(14))]));
        return;
      case 2:
        this.#frame(
          random.below(14),
          random.next() & 255,
          random.oneIn(2) ? 0 : this.#anyId(),
          random.bytes(random.below(20)),
        );
        return;
      default:
        // Bytes that come to their end in the middle of a frame, or where none begins.
        this.#parts.push(random.bytes(random.below(12)));
    }
  }

  /** The last frame once more and once more; a request each time on a stream of its own. */
  #again(): void {
    const last = this.#parts.at(-1);
    if (last === undefined || last.length < frameHeaderBytes || last.length > 80) return;
    for (let left = this.#random.pick([2, 5, 30]); left > 0; left -= 1) {
      const frame = Uint8Array.from(last);
      if (frame[3] === FrameType.HEADERS) {
        frame.set(uint32(this.#nextId), 5);
        this.#nextId += 2;
      }
      this.#parts.push(frame);
    }
  }

  #pingPayload(): Uint8Array {
    return Buffer.from(this.#random.pick(["howfast?", "leaving!", "alive?\0\0", "12345678", "short"]), "latin1");
  }

  #padded(type: number, flags: number, id: number, content: Uint8Array): void {
    const random = this.#random;
    if (!random.oneIn(8)) {
      this.#frame(type, flags, id, content);
      return;
    }
    const padding = random.oneIn(10) ? random.below(256) : random.below(5);
    this.#frame(
      type,
      flags | PADDED,
      id,
      Buffer.concat([Buffer.of(padding), content, Buffer.alloc(Math.min(8, padding))]),
    );
  }

  #frame(type: number, flags: number, id: number, payload: Uint8Array): void {
    const frame = new Uint8Array(frameHeaderBytes + payload.length);
    const length = this.#random.oneIn(300) ? this.#random.below(20_000) : payload.length;
    frame.set(payload, writeFrameHeader(frame, 0, length, type, flags, id));
    this.#parts.push(frame);
  }

  #anyId(): number {
    const random = this.#random;
    if (random.oneIn(15) || this.#open.length === 0) return random.below(this.#nextId + 3);
    return random.pick(this.#open);
  }
}

function usualSetting(id: number, random: Random): number {
  switch (id) {
    case 1:
      return random.below(9000);
    case 2:
      return random.below(2);
    case 4:
      return random.pick([0, 1, 10, 100, 65_535, 100_000, 0x7fff_ffff]);
    case 5:
      return random.between(16_384, 16_777_215);
    default:
      return random.next();
  }
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
