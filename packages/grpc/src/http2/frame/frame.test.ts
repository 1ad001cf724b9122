import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode, errorName } from "../error-code.ts";
import { Http2Error } from "../http2-error.ts";
import { readData, writeDataHeader } from "./data.ts";
import { FrameFlag, FrameType, readFrameHeader, readUint24, writeFrameHeader, writeUint24 } from "./frame-header.ts";
import { readGoAway, writeGoAway } from "./goaway.ts";
import { readHeaders, writeHeadersHeader } from "./headers.ts";
import { readPing, writePing } from "./ping.ts";
import { readRstStream, writeRstStream } from "./rst-stream.ts";
import { readSettings, writeSettings } from "./settings.ts";
import { readWindowUpdate, writeWindowUpdate } from "./window-update.ts";

const uint31 = fc.integer({ min: 0, max: 0x7fffffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

describe("frames", () => {
  it("are read back as they were written", () => {
    const out = new Uint8Array(64);
    fc.assert(
      fc.property(
        uint31,
        uint31,
        uint32,
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        (id, number, code, payload) => {
          assert.equal(writeRstStream(out, 0, id, code), 13);
          assert.equal(readFrameHeader(out, 0).streamId, id);
          assert.equal(readRstStream(out, 9, 13), code);
          assert.equal(writeWindowUpdate(out, 0, id, number), 13);
          assert.equal(readWindowUpdate(out, 9, 13), number);
          assert.equal(writeGoAway(out, 0, { lastStreamId: number, errorCode: code }, payload), 25);
          assert.deepEqual(readGoAway(out, 9, 25), { lastStreamId: number, errorCode: code });
          assert.equal(writePing(out, 0, payload, true), 17);
          assert.deepEqual(readPing(out, 9, 17), payload);
          assert.deepEqual(readFrameHeader(out, 0), { length: 8, type: FrameType.PING, flags: 1, streamId: 0 });
        },
      ),
    );
  });

  it("have lengths of 24 bits and stream numbers of 31", () => {
    const out = new Uint8Array(16);
    writeFrameHeader(out, 0, 0xffffff, 0xff, 0xff, 0x7fffffff);
    out[5] = 0xff;
    assert.deepEqual(readFrameHeader(out, 0), { length: 0xffffff, type: 255, flags: 255, streamId: 0x7fffffff });
    writeUint24(out, 3, 0x123456);
    assert.equal(readUint24(out, 3), 0x123456);
  });
});

describe("padding and priority", () => {
  it("are taken off", () => {
    const bytes = Buffer.from([2, 0x80, 0, 0, 7, 16, 1, 2, 3, 0, 0]);
    const flags = FrameFlag.PADDED | FrameFlag.PRIORITY;
    assert.deepEqual(readHeaders(bytes, 0, 11, flags), { start: 6, end: 9, dependency: 7 });
    assert.deepEqual(readHeaders(bytes, 0, 11, 0), { start: 0, end: 11, dependency: undefined });
    assert.deepEqual(readData(bytes, 0, 11, FrameFlag.PADDED), { start: 1, end: 9 });
  });

  it("are refused when they do not fit", () => {
    const bytes = Buffer.from([4, 0, 0, 0]);
    assert.throws(() => readData(bytes, 0, 4, FrameFlag.PADDED), { code: "PROTOCOL_ERROR" });
    assert.throws(() => readData(bytes, 0, 0, FrameFlag.PADDED), { code: "FRAME_SIZE_ERROR" });
    assert.throws(() => readHeaders(bytes, 0, 4, FrameFlag.PRIORITY), { code: "FRAME_SIZE_ERROR" });
  });
});

describe("SETTINGS", () => {
  it("count as they stand last, header table sizes with their lowest too", () => {
    const out = new Uint8Array(128);
    const pairs: [number, number][] = [
      [1, 100],
      [1, 7],
      [1, 200],
      [4, 1],
      [4, 5],
      [5, 20_000],
      [6, 9],
      [2, 0],
      [99, 1],
    ];
    const end = writeSettings(out, 0, pairs);
    assert.deepEqual(readSettings(out, 9, end), {
      headerTableBytes: { lowest: 7, last: 200 },
      initialWindowBytes: 5,
      maxFrameBytes: 20_000,
      maxHeaderListBytes: 9,
    });
  });

  it("are refused out of their range and length", () => {
    const out = new Uint8Array(32);
    const refused = (id: number, value: number, code: string) => {
      const end = writeSettings(out, 0, [[id, value]]);
      assert.throws(() => readSettings(out, 9, end), { code });
    };
    refused(2, 2, "PROTOCOL_ERROR");
    refused(4, 2 ** 31, "FLOW_CONTROL_ERROR");
    refused(5, 16_383, "PROTOCOL_ERROR");
    refused(5, 16_777_216, "PROTOCOL_ERROR");
    assert.throws(() => readSettings(out, 0, 5), { code: "FRAME_SIZE_ERROR" });
  });
});

describe("frames of a fixed length", () => {
  it("are refused with another", () => {
    const bytes = new Uint8Array(16);
    for (const read of [readRstStream, readWindowUpdate, readPing]) {
      for (const length of [0, 3, 5, 9]) assert.throws(() => read(bytes, 0, length), Http2Error);
    }
    assert.throws(() => readGoAway(bytes, 0, 7), Http2Error);
  });
});

describe("headers of frames we send", () => {
  it("carry END_STREAM on the first and END_HEADERS on the last of a block", () => {
    const out = new Uint8Array(9);
    const flags = (first: boolean, last: boolean) => {
      writeHeadersHeader(out, 0, 1, 5, { first, last, endStream: true });
      return [out[3], out[4]];
    };
    assert.deepEqual(flags(true, true), [FrameType.HEADERS, 5]);
    assert.deepEqual(flags(true, false), [FrameType.HEADERS, 1]);
    assert.deepEqual(flags(false, true), [FrameType.CONTINUATION, 4]);
    writeDataHeader(out, 0, 3, 7, true);
    assert.deepEqual([...out], [0, 0, 7, 0, 1, 0, 0, 0, 3]);
  });
});

describe("error codes", () => {
  it("have their names, and strange ones their numbers", () => {
    assert.equal(errorName(11), "ENHANCE_YOUR_CALM");
    assert.equal(errorName(77), "error code 77");
    assert.equal(new Http2Error("FLOW_CONTROL_ERROR", "x").wireCode, ErrorCode.FLOW_CONTROL_ERROR);
  });
});
