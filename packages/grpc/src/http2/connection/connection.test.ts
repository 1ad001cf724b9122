import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ScriptedPeer, type SentFrame, setting, uint32 } from "../../testing/scripted-peer.ts";
import { ErrorCode } from "../error-code.ts";
import { FrameFlag, FrameType, maxInt31, readUint32 } from "../frame/frame-header.ts";
import { SettingId } from "../frame/settings.ts";
import { FixedFields } from "./fixed-fields.ts";

const okHeaders = new FixedFields([":status", "200", "content-type", "application/grpc"]);
const okTrailers = new FixedFields(["grpc-status", "0"]);
const noFields = new FixedFields([]);

function established(limits: ConstructorParameters<typeof ScriptedPeer>[0] = {}): ScriptedPeer {
  const peer = new ScriptedPeer(limits);
  peer.begin();
  return peer;
}

const ofType = (frames: readonly SentFrame[], type: number) => frames.filter((frame) => frame.type === type);
const dataBytes = (frames: readonly SentFrame[]) =>
  ofType(frames, FrameType.DATA).reduce((sum, { payload }) => sum + payload.length, 0);

describe("a connection's beginning", () => {
  it("tells the limits, opens the window and acknowledges the client's SETTINGS", () => {
    const frames = new ScriptedPeer({ maxConcurrentStreams: 7 }).begin();
    assert.deepEqual(
      frames.map(({ type, flags }) => [type, flags]),
      [
        [FrameType.SETTINGS, 0],
        [FrameType.WINDOW_UPDATE, 0],
        [FrameType.SETTINGS, FrameFlag.ACK],
      ],
    );
    const settings = Buffer.concat([setting(3, 7), setting(4, 262_144), setting(6, 16_384)]);
    assert.deepEqual(frames[0]?.payload, settings);
    assert.equal(readUint32(frames[1]?.payload ?? Buffer.alloc(4), 0), 1_048_576 - 65_535);
  });

  it("wants SETTINGS before anything else", () => {
    const peer = new ScriptedPeer();
    peer.receive(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    peer.frame(FrameType.PING, 0, 0, Buffer.alloc(8));
    peer.endsWith("PROTOCOL_ERROR");
  });
});

describe("an answer", () => {
  it("goes out as HEADERS, one DATA frame for all messages written in a row, and trailers", () => {
    const peer = established();
    peer.open(1, true);
    const stream = peer.stream(1);
    stream.sendHeaders(okHeaders, [], false);
    for (const text of ["a", "bc", "def"]) stream.sendBytes(Buffer.from(text));
    stream.sendTrailers(okTrailers, []);
    const frames = peer.sent();
    assert.deepEqual(
      frames.map(({ type }) => type),
      [FrameType.HEADERS, FrameType.DATA, FrameType.HEADERS],
    );
    assert.equal(frames[1]?.payload.toString(), "abcdef");
    assert.equal(frames[2]?.flags, FrameFlag.END_HEADERS | FrameFlag.END_STREAM);
    assert.deepEqual(peer.seen.get(1)?.events, ["end", "sent"]);
    assert.equal(peer.connection.streamCount, 0);
  });

  it("costs a few bytes of fields from the second time on", () => {
    const peer = established();
    const sizes = [1, 3, 5].map((id) => {
      peer.open(id, true);
      peer.stream(id).sendHeaders(okHeaders, [], false);
      peer.stream(id).sendTrailers(okTrailers, ["grpc-message", "x"]);
      const frames = peer.sent();
      assert.deepEqual(frames[0]?.fields, okHeaders.fields);
      assert.deepEqual(frames[1]?.fields, ["grpc-status", "0", "grpc-message", "x"]);
      return frames[0]?.payload.length;
    });
    assert.deepEqual(sizes.slice(1), [2, 2]);
  });

  it("is decoded right when the client shrinks and grows the header table between answers", () => {
    const peer = established();
    for (const [n, size] of [0, 4096, 40, 100, 1 << 20, 64].entries()) {
      const id = 2 * n + 1;
      peer.open(id, true);
      peer.frame(FrameType.SETTINGS, 0, 0, Buffer.concat([setting(1, 10), setting(1, size)]));
      peer.stream(id).sendHeaders(okHeaders, ["x-n", String(n)], false);
      peer.stream(id).sendTrailers(okTrailers, []);
      const blocks = ofType(peer.sent(), FrameType.HEADERS);
      assert.deepEqual(blocks[0]?.fields, [...okHeaders.fields, "x-n", String(n)]);
      assert.deepEqual(blocks[1]?.fields, okTrailers.fields);
    }
  });

  it("with fields larger than a frame goes on in CONTINUATION", () => {
    const peer = established();
    peer.open(1, true);
    peer.stream(1).sendHeaders(okHeaders, ["x-long", "y".repeat(40_000)], true);
    const bytes = Buffer.concat(peer.connection.take());
    assert.deepEqual([bytes[3], bytes[4]], [FrameType.HEADERS, FrameFlag.END_STREAM]);
    assert.deepEqual([bytes[9 + 16_384 + 3], bytes[9 + 16_384 + 4]], [FrameType.CONTINUATION, 0]);
    const last = 2 * (9 + 16_384);
    assert.deepEqual([bytes[last + 3], bytes[last + 4]], [FrameType.CONTINUATION, FrameFlag.END_HEADERS]);
  });

  it("before the end of the request asks for no more of it", () => {
    const peer = established();
    peer.open(1);
    peer.stream(1).sendHeaders(okHeaders, [], true);
    peer.resets(1, "NO_ERROR");
    // What is on its way is passed over.
    peer.frame(FrameType.DATA, 0, 1, Buffer.alloc(100));
    peer.frame(FrameType.HEADERS, FrameFlag.END_HEADERS | FrameFlag.END_STREAM, 1, peer.block(["a", "b"]));
    assert.deepEqual(peer.sent(), []);
  });

  it("is not sent by a stream that is gone", () => {
    const peer = established();
    peer.open(1, true);
    const stream = peer.stream(1);
    peer.frame(FrameType.RST_STREAM, 0, 1, uint32(ErrorCode.CANCEL));
    stream.sendHeaders(okHeaders, [], false);
    stream.sendBytes(Buffer.from("late"));
    stream.sendTrailers(okTrailers, []);
    stream.reset(ErrorCode.CANCEL);
    assert.deepEqual(peer.sent(), []);
    assert.deepEqual(peer.seen.get(1)?.events, ["end", "reset"]);
  });
});

describe("flow control", () => {
  it("sends what the stream's window lets through and the rest as it opens, trailers last", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 10));
    peer.open(1, true);
    const stream = peer.stream(1);
    stream.sendHeaders(okHeaders, [], false);
    stream.sendBytes(Buffer.from("0123456789abcdef"));
    stream.sendTrailers(okTrailers, []);
    assert.equal(ofType(peer.sent(), FrameType.DATA)[0]?.payload.toString(), "0123456789");
    peer.windowUpdate(1, 4);
    peer.connection.pump();
    assert.equal(ofType(peer.sent(), FrameType.DATA)[0]?.payload.toString(), "abcd");
    peer.frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 12));
    peer.connection.pump();
    const frames = peer.sent();
    assert.equal(ofType(frames, FrameType.DATA)[0]?.payload.toString(), "ef");
    assert.deepEqual(frames.at(-1)?.fields, okTrailers.fields);
  });

  it("lets a window be negative after SETTINGS and waits until it is positive again", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 10));
    peer.open(1, true);
    peer.stream(1).sendHeaders(okHeaders, [], false);
    peer.stream(1).sendBytes(Buffer.alloc(8));
    peer.stream(1).sendBytes(Buffer.alloc(8));
    peer.sent();
    peer.frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 0));
    peer.windowUpdate(1, 10);
    peer.connection.pump();
    assert.equal(dataBytes(peer.sent()), 0);
    peer.windowUpdate(1, 3);
    peer.connection.pump();
    assert.equal(dataBytes(peer.sent()), 3);
  });

  it("holds all streams to the connection's window", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, maxInt31));
    for (const id of [1, 3]) {
      peer.open(id, true);
      peer.stream(id).sendHeaders(okHeaders, [], false);
      peer.stream(id).sendBytes(Buffer.alloc(60_000));
    }
    let sent = 0;
    for (let turn = 0; turn < 20; turn += 1) {
      sent += dataBytes(peer.sent());
      peer.connection.pump();
    }
    assert.equal(sent, 65_535);
    peer.windowUpdate(0, 1_000_000);
    for (let turn = 0; turn < 20; turn += 1) {
      peer.connection.pump();
      sent += dataBytes(peer.sent());
    }
    assert.equal(sent, 120_000);
  });

  it("ends what pushes a window past 2^31-1", () => {
    const stream = established();
    stream.open(1);
    stream.windowUpdate(1, maxInt31);
    stream.resets(1, "FLOW_CONTROL_ERROR");
    const connection = established();
    connection.windowUpdate(0, maxInt31);
    connection.endsWith("FLOW_CONTROL_ERROR");
    const settings = established();
    settings.open(1);
    settings.windowUpdate(1, maxInt31 - 65_535);
    settings.frame(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 65_536));
    settings.endsWith("FLOW_CONTROL_ERROR");
  });

  it("gives credit back for what was taken, and for padding at once", () => {
    const peer = new ScriptedPeer({ initialWindowBytes: 1_000 }, false);
    peer.begin();
    peer.open(1);
    peer.frame(FrameType.DATA, FrameFlag.PADDED, 1, Buffer.from([255, ...Buffer.alloc(700)]));
    assert.deepEqual(ofType(peer.sent(), FrameType.WINDOW_UPDATE), []);
    peer.stream(1).consume(445);
    const update = ofType(peer.sent(), FrameType.WINDOW_UPDATE)[0];
    assert.deepEqual([update?.streamId, readUint32(update?.payload ?? uint32(0), 0)], [1, 701]);
  });

  it("opens the window further when the client fills it within a round trip", () => {
    const peer = new ScriptedPeer({ initialWindowBytes: 65_536, maxWindowBytes: 200_000 });
    peer.begin();
    peer.open(1);
    let credit = 65_536;
    let largest = 0;
    for (let round = 0; round < 6; round += 1) {
      for (; credit > 0; credit -= Math.min(credit, 16_384)) {
        peer.frame(FrameType.DATA, 0, 1, Buffer.alloc(Math.min(credit, 16_384)));
      }
      const frames = peer.sent();
      for (const frame of ofType(frames, FrameType.WINDOW_UPDATE)) {
        if (frame.streamId === 1) credit += readUint32(frame.payload, 0);
      }
      largest = Math.max(largest, credit);
      for (const { payload } of ofType(frames, FrameType.PING)) peer.frame(FrameType.PING, FrameFlag.ACK, 0, payload);
    }
    assert.ok(largest > 130_000, `${largest}`);
    assert.ok(largest <= 200_000, `${largest}`);
    assert.equal(peer.connection.finished, false);
  });
});

describe("turns", () => {
  it("give each stream its share when there is more than a turn takes", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, maxInt31));
    peer.windowUpdate(0, 1 << 29);
    const ids = [1, 3, 5, 7];
    const written = new Map<number, number>();
    const write = (id: number) => {
      const stream = peer.stream(id);
      do {
        stream.sendBytes(Buffer.alloc(100));
        written.set(id, (written.get(id) ?? 0) + 100);
      } while (peer.connection.sender.hasRoom(stream));
    };
    for (const id of ids) {
      peer.open(id, true);
      const stream = peer.stream(id);
      stream.sendHeaders(okHeaders, [], false);
      if (stream.handler !== undefined) stream.handler.onWritable = () => write(id);
    }
    for (const id of ids) write(id);
    for (let turn = 0; turn < 100; turn += 1) {
      assert.ok(peer.connection.unsentBytes <= 2 * 32_768 + 500, `${peer.connection.unsentBytes}`);
      peer.sent();
      peer.connection.pump();
    }
    const amounts = [...written.values()];
    assert.ok(Math.min(...amounts) > 0.7 * Math.max(...amounts), `${amounts}`);
    assert.ok(amounts.reduce((a, b) => a + b) > 100 * 25_000, `${amounts}`);
  });
});

describe("leaving", () => {
  it("goes in two steps, and requests on their way are still taken", () => {
    const peer = established();
    peer.open(1, true);
    peer.connection.leave();
    peer.connection.leave();
    const first = peer.sent();
    assert.deepEqual(
      first.map(({ type }) => type),
      [FrameType.GOAWAY, FrameType.PING],
    );
    assert.equal(readUint32(first[0]?.payload ?? uint32(0), 0), maxInt31);
    peer.open(3, true);
    peer.frame(FrameType.PING, FrameFlag.ACK, 0, first[1]?.payload);
    assert.deepEqual(peer.goAway(), { code: "NO_ERROR", lastStreamId: 3, reason: "" });
    peer.open(5, true);
    assert.equal(peer.seen.has(5), false);
    for (const id of [1, 3]) {
      assert.equal(peer.connection.finished, false);
      peer.stream(id).sendHeaders(okHeaders, [], true);
    }
    assert.equal(peer.connection.finished, true);
    assert.equal(peer.connection.failure, undefined);
  });

  it("takes the second step after five seconds when the client does not answer the ping", () => {
    const peer = established();
    peer.connection.leave();
    peer.sent();
    peer.connection.tick(4_999);
    assert.equal(peer.connection.finished, false);
    peer.connection.tick(5_000);
    assert.equal(peer.goAway()?.lastStreamId, 0);
    assert.equal(peer.connection.finished, true);
  });

  it("is over at once for a client that has not spoken yet", () => {
    const peer = new ScriptedPeer();
    peer.connection.leave();
    assert.equal(peer.connection.finished, true);
  });

  it("happens for age and idleness, and age does not wait for ever", () => {
    const idle = established({ maxConnectionIdleMs: 1_000 });
    idle.open(1);
    idle.connection.tick(5_000);
    assert.equal(idle.goAway(), undefined);
    idle.stream(1).reset(ErrorCode.CANCEL);
    idle.connection.tick(6_000);
    idle.connection.tick(7_000);
    assert.equal(idle.goAway()?.code, "NO_ERROR");
    const old = established({ maxConnectionAgeMs: 1_000, maxConnectionAgeGraceMs: 500 });
    old.open(1);
    old.connection.tick(999);
    assert.equal(old.goAway(), undefined);
    old.connection.tick(1_000);
    assert.equal(old.goAway()?.lastStreamId, maxInt31);
    old.connection.tick(1_500);
    old.endsWith("NO_ERROR");
  });
});

describe("keepalive", () => {
  it("pings a silent client and ends the connection when no answer comes", () => {
    const peer = established();
    peer.connection.tick(59_999);
    assert.deepEqual(peer.sent(), []);
    peer.connection.tick(60_000);
    const ping = peer.sent();
    assert.equal(ping[0]?.type, FrameType.PING);
    peer.nowMs = 79_000;
    peer.frame(FrameType.PING, FrameFlag.ACK, 0, ping[0]?.payload);
    peer.connection.tick(139_000);
    assert.equal(peer.sent()[0]?.type, FrameType.PING);
    peer.open(1);
    peer.connection.tick(139_001);
    peer.connection.tick(79_000 + 60_000 + 60_000);
    peer.connection.tick(79_000 + 60_000 + 80_000);
    peer.endsWith("NO_ERROR");
    assert.deepEqual(peer.seen.get(1)?.events, ["reset"]);
  });
});

describe("a socket that is gone", () => {
  it("resets every stream once and sends nothing", () => {
    const peer = established();
    peer.open(1);
    peer.open(3, true);
    peer.connection.disconnected();
    peer.connection.disconnected();
    assert.deepEqual([peer.seen.get(1)?.events, peer.seen.get(3)?.events], [["reset"], ["end", "reset"]]);
    peer.stream(1).sendTrailers(noFields, []);
    assert.deepEqual(peer.sent(), []);
  });
});
