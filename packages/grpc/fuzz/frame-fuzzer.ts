import { clientPreface, FrameReader } from "../src/http2/connection/frame-reader.ts";
import { readData } from "../src/http2/frame/data.ts";
import {
  defaultMaxFrameBytes,
  FrameType,
  frameHeaderBytes,
  writeFrameHeader,
} from "../src/http2/frame/frame-header.ts";
import { goAwayFrameBytes, readGoAway, writeGoAway } from "../src/http2/frame/goaway.ts";
import { readHeaders } from "../src/http2/frame/headers.ts";
import { readPing, writePing } from "../src/http2/frame/ping.ts";
import { readRstStream, writeRstStream } from "../src/http2/frame/rst-stream.ts";
import { readSettings } from "../src/http2/frame/settings.ts";
import { readWindowUpdate, writeWindowUpdate } from "../src/http2/frame/window-update.ts";
import { Http2Error } from "../src/http2/http2-error.ts";
import { walkFrames } from "./frame-walk.ts";
import { type Fuzzer, rule, sameBytes, seedOf } from "./fuzzer.ts";
import { Random } from "./random.ts";

const maxFrames = 12;
const flagsOfInterest = [0, 1, 4, 5, 8, 9, 0x20, 0x28, 0x2d, 0xff] as const;
const lengthsOfInterest = [0, 1, 4, 5, 6, 8, 12, 13, 17] as const;

/** What a reader made of an input. */
interface Reading {
  readonly frames: { type: number; flags: number; streamId: number; payload: Uint8Array }[];
  readonly failure: string | undefined;
}

/** Frames cut out of bytes in any pieces, and their payloads read. The client's preface is put in front of the input. */
export const frameFuzzer: Fuzzer = {
  name: "frame",
  maxBytes: 400,

  make(random) {
    const parts: Uint8Array[] = [];
    for (let left = random.between(1, maxFrames); left > 0; left -= 1) {
      const length = random.oneIn(4) ? random.below(60) : random.pick(lengthsOfInterest);
      const frame = new Uint8Array(frameHeaderBytes + length);
      const said = random.oneIn(20) ? random.below(2 ** 24) : length;
      const id = random.oneIn(8) ? random.next() : random.below(8);
      writeFrameHeader(frame, 0, said, random.below(12), random.pick(flagsOfInterest), id);
      frame.set(random.bytes(length), frameHeaderBytes);
      parts.push(frame);
    }
    return Buffer.concat(parts);
  },

  check(input) {
    const whole = readAll([Buffer.concat([clientPreface, input])]);
    const pieces = readAll(cut(Buffer.concat([clientPreface, input]), new Random(seedOf(input))));
    compare(whole, pieces, "whole and in pieces");
    rule(whole.frames.length * frameHeaderBytes <= input.length, () => "more frames than bytes");
    const { frames } = walkFrames(input);
    const tooLong = frames.findIndex(({ payload }) => payload.length > defaultMaxFrameBytes);
    const walked = tooLong < 0 ? frames : frames.slice(0, tooLong);
    compare(whole, { frames: walked, failure: whole.failure }, "by the reader and by the walk");
    return outcomeOf(input, whole);
  },
};

/** Pieces of one byte and more, some of them empty. */
export function cut(bytes: Uint8Array, random: Random): Uint8Array[] {
  const most = random.pick([1, 3, 9, 30, 300]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + random.below(most) + (most === 1 ? 1 : random.below(2)));
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}

function readAll(pieces: readonly Uint8Array[]): Reading {
  const frames: Reading["frames"] = [];
  const reader = new FrameReader(defaultMaxFrameBytes, (type, flags, streamId, bytes, start, end) => {
    rule(start >= 0 && start <= end && end <= bytes.length, () => `a payload from ${start} to ${end}`);
    frames.push({ type, flags, streamId, payload: Uint8Array.prototype.slice.call(bytes, start, end) });
  });
  try {
    for (const piece of pieces) reader.read(piece);
  } catch (thrown) {
    if (!(thrown instanceof Http2Error)) throw thrown;
    return { frames, failure: thrown.message };
  }
  return { frames, failure: undefined };
}

function compare(a: Reading, b: Reading, how: string): void {
  rule(a.failure === b.failure, () => `${how}: "${a.failure}" and "${b.failure}"`);
  rule(a.frames.length === b.frames.length, () => `${how}: ${a.frames.length} and ${b.frames.length} frames`);
  for (const [i, frame] of a.frames.entries()) {
    const other = b.frames[i];
    const alike =
      other !== undefined &&
      frame.type === other.type &&
      frame.flags === other.flags &&
      frame.streamId === other.streamId &&
      sameBytes(frame.payload, other.payload);
    rule(alike, () => `${how}: frame ${i} differs`);
  }
}

function outcomeOf(input: Uint8Array, { frames, failure }: Reading): string {
  let outcome = failure === undefined ? "" : "too long ";
  for (const { type, flags, streamId, payload } of frames) outcome += readPayload(type, flags, streamId, payload);
  return `${outcome} ${Math.min(3, input.length - frames.length)}`.slice(0, 60);
}

/** Reads a payload by its type; what has an exact form is written again and has to be the same. */
function readPayload(type: number, flags: number, streamId: number, payload: Uint8Array): string {
  const end = payload.length;
  const again = new Uint8Array(frameHeaderBytes + end);
  try {
    switch (type) {
      case FrameType.DATA: {
        const span = readData(payload, 0, end, flags);
        rule(span.start >= 0 && span.start <= span.end && span.end <= end, () => "content outside of DATA");
        return "D";
      }
      case FrameType.HEADERS: {
        const span = readHeaders(payload, 0, end, flags);
        rule(span.start >= 0 && span.start <= span.end && span.end <= end, () => "a fragment outside of HEADERS");
        return "H";
      }
      case FrameType.RST_STREAM:
        writeRstStream(again, 0, streamId, readRstStream(payload, 0, end));
        break;
      case FrameType.SETTINGS:
        readSettings(payload, 0, end);
        return "S";
      case FrameType.PING:
        writePing(again, 0, readPing(payload, 0, end), false);
        break;
      case FrameType.GOAWAY: {
        const goAway = readGoAway(payload, 0, end);
        rule(writeGoAway(again, 0, goAway, payload.subarray(8)) === goAwayFrameBytes(end - 8), () => "GOAWAY's length");
        if ((payload[0] as number) >= 128) return "G";
        break;
      }
      case FrameType.WINDOW_UPDATE:
        writeWindowUpdate(again, 0, streamId, readWindowUpdate(payload, 0, end));
        if ((payload[0] as number) >= 128) return "W";
        break;
      default:
        return "o";
    }
  } catch (thrown) {
    if (!(thrown instanceof Http2Error)) throw thrown;
    return `!${type}`;
  }
  rule(sameBytes(again.subarray(frameHeaderBytes), payload), () => `frame type ${type} changes when written again`);
  return String(type);
}
