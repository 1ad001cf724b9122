import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { frameBytes, ScriptedPeer, setting, uint32 } from "../../testing/scripted-peer.ts";
import { FrameFlag, FrameType } from "../frame/frame-header.ts";
import { SettingId } from "../frame/settings.ts";
import { FixedFields } from "./fixed-fields.ts";
import { clientPreface } from "./frame-reader.ts";

const { END_HEADERS, END_STREAM } = FrameFlag;
const okHeaders = new FixedFields([":status", "200"]);

/** A peer past its preface that sends the frame until the connection ends; answers how many it took. */
function flood(peer: ScriptedPeer, frame: Buffer | ((n: number) => Buffer), most = 100_000): number {
  for (let n = 0; n < most; n += 1) {
    peer.receive(typeof frame === "function" ? frame(n) : frame);
    if (peer.connection.finished) return n;
    // Acks and resets that a flood provokes are taken, so that only the count can end it.
    if (n % 512 === 0) peer.connection.take();
  }
  return most;
}

function established(limits: ConstructorParameters<typeof ScriptedPeer>[0] = {}): ScriptedPeer {
  const peer = new ScriptedPeer(limits);
  peer.begin();
  return peer;
}

describe("a client that floods with frames of no content", () => {
  const noise: readonly (readonly [string, Buffer])[] = [
    ["SETTINGS", frameBytes(FrameType.SETTINGS, 0, 0, Buffer.alloc(0))],
    ["acknowledgements of SETTINGS", frameBytes(FrameType.SETTINGS, FrameFlag.ACK, 0, Buffer.alloc(0))],
    ["answers to no PING", frameBytes(FrameType.PING, FrameFlag.ACK, 0, Buffer.alloc(8))],
    ["PRIORITY", frameBytes(FrameType.PRIORITY, 0, 9, Buffer.alloc(5))],
    ["GOAWAY", frameBytes(FrameType.GOAWAY, 0, 0, Buffer.alloc(8))],
    ["frames of an unknown type", frameBytes(0x77, 0, 0, Buffer.alloc(0))],
    ["WINDOW_UPDATE of 1 for the connection", frameBytes(FrameType.WINDOW_UPDATE, 0, 0, uint32(1))],
    ["empty DATA", frameBytes(FrameType.DATA, 0, 1, Buffer.alloc(0))],
    ["DATA of padding alone", frameBytes(FrameType.DATA, FrameFlag.PADDED, 1, Buffer.from([9, ...Buffer.alloc(9)]))],
    ["DATA of one byte", frameBytes(FrameType.DATA, 0, 1, Buffer.from([0]))],
    ["WINDOW_UPDATE of 1 for a stream", frameBytes(FrameType.WINDOW_UPDATE, 0, 1, uint32(1))],
    ["RST_STREAM for a stream that is gone", frameBytes(FrameType.RST_STREAM, 0, 3, uint32(8))],
    ["malformed PRIORITY", frameBytes(FrameType.PRIORITY, 0, 9, Buffer.alloc(4))],
  ];
  for (const [what, frame] of noise) {
    it(`is told to calm down: ${what}`, () => {
      const peer = established();
      peer.open(1);
      peer.open(3);
      peer.frame(FrameType.RST_STREAM, 0, 3, uint32(8));
      const taken = flood(peer, frame);
      peer.endsWith("ENHANCE_YOUR_CALM");
      assert.ok(taken < 21_000, `${taken} frames`);
      assert.deepEqual(peer.seen.get(1)?.events.at(-1), "reset");
    });
  }

  it("is not disturbed at a pace that clients have", () => {
    const peer = established();
    peer.open(1);
    for (let second = 0; second < 60; second += 1) {
      peer.nowMs += 1_000;
      for (let n = 0; n < 5_000; n += 1) peer.windowUpdate(1, 1);
    }
    assert.equal(peer.connection.finished, false);
  });

  it("is told to calm down for PINGs faster than the interval (CVE-2019-9512), and a client that keeps to it never", () => {
    const fast = established();
    assert.equal(flood(fast, frameBytes(FrameType.PING, 0, 0, Buffer.alloc(8))), 3);
    assert.deepEqual(fast.goAway(), { code: "ENHANCE_YOUR_CALM", lastStreamId: 0, reason: "too_many_pings" });
    const patient = established();
    for (let n = 0; n < 100; n += 1) {
      patient.nowMs += 9_990;
      patient.frame(FrameType.PING, 0, 0, Buffer.alloc(8));
      assert.equal(patient.sent().filter(({ type }) => type === FrameType.PING).length, 1);
    }
  });

  it("may ping behind each answer, as clients do that measure the path", () => {
    const peer = established();
    for (let id = 1; id < 200; id += 2) {
      peer.open(id, true);
      peer.stream(id).sendHeaders(okHeaders, [], true);
      peer.frame(FrameType.PING, 0, 0, Buffer.alloc(8));
    }
    assert.equal(peer.connection.finished, false);
  });
});

describe("a client that takes its requests back at once (CVE-2023-44487)", () => {
  it("is told to calm down", () => {
    const peer = established();
    const taken = flood(peer, (n) => {
      peer.open(2 * n + 1, true);
      return frameBytes(FrameType.RST_STREAM, 0, 2 * n + 1, uint32(8));
    });
    peer.endsWith("ENHANCE_YOUR_CALM");
    assert.equal(taken, 2_000);
  });

  it("may take back thousands that it waited for", () => {
    const peer = established();
    for (let n = 0; n < 5_000; n += 1) peer.open(2 * n + 1, true);
    peer.nowMs += 2_000;
    for (let n = 0; n < 5_000; n += 1) peer.frame(FrameType.RST_STREAM, 0, 2 * n + 1, uint32(8));
    assert.equal(peer.connection.finished, false);
    assert.equal(peer.connection.streamCount, 0);
  });

  it("is told to calm down when it makes us take them back (CVE-2025-8671)", () => {
    const breaks: readonly (readonly [string, (id: number) => Buffer])[] = [
      ["a window update of 0", (id) => frameBytes(FrameType.WINDOW_UPDATE, 0, id, uint32(0))],
      ["a window above 2^31-1", (id) => frameBytes(FrameType.WINDOW_UPDATE, 0, id, uint32(0x7fff_ffff))],
      ["DATA behind the end", (id) => frameBytes(FrameType.DATA, 0, id, Buffer.alloc(5))],
      [
        "a priority of itself",
        (id) => frameBytes(FrameType.PRIORITY, 0, id, Buffer.concat([uint32(id), Buffer.of(1)])),
      ],
    ];
    for (const [what, frame] of breaks) {
      const peer = established();
      let taken = 0;
      for (let id = 1; !peer.connection.finished && taken < 10_000; id += 2, taken += 1) {
        peer.open(id, true);
        peer.receive(frame(id));
        if (taken % 100 === 99 && !peer.connection.finished) peer.sent();
      }
      peer.endsWith("ENHANCE_YOUR_CALM", what);
      assert.equal(taken, 2_001, what);
    }
  });

  it("leaves nothing behind when answers wait for a window that never opens", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff));
    const { sender } = peer.connection;
    for (let n = 0; n < 20_000; n += 1) {
      const id = 2 * n + 1;
      peer.open(id, true);
      peer.stream(id).sendHeaders(okHeaders, [], false);
      peer.stream(id).sendBytes(Buffer.alloc(70_000));
      if (n > 0) peer.frame(FrameType.RST_STREAM, 0, id, uint32(8));
      peer.connection.take();
      peer.seen.clear();
    }
    assert.equal(peer.connection.finished, false);
    assert.equal(peer.connection.streamCount, 1);
    assert.ok(sender.queuedStreams < 200, `${sender.queuedStreams} streams are queued`);
  });

  it("gets no new stream while handlers of those it reset still run", () => {
    const peer = established({ maxConcurrentStreams: 2 });
    for (const id of [1, 3]) {
      peer.open(id, true);
      peer.connection.linger(1);
      peer.frame(FrameType.RST_STREAM, 0, id, uint32(8));
    }
    peer.open(5, true);
    peer.resets(5, "REFUSED_STREAM");
    peer.connection.linger(-1);
    peer.open(7, true);
    assert.ok(peer.seen.has(7));
  });
});

describe("a client with endless fields", () => {
  it("is told to calm down for a field block above the bound, however it is cut (CVE-2024-27316)", () => {
    for (const [size, most] of [
      [16_000, 3],
      [1, 2_600],
      [0, 2_600],
    ] as const) {
      const peer = established();
      peer.frame(FrameType.HEADERS, 0, 1, Buffer.from([0x82]));
      const taken = flood(peer, frameBytes(FrameType.CONTINUATION, 0, 1, Buffer.alloc(size, 0x82)));
      peer.endsWith("ENHANCE_YOUR_CALM", `${size} bytes`);
      assert.ok(taken <= most, `${taken} frames of ${size} bytes`);
    }
  });

  it("is cut off when the rest of a block does not come", () => {
    const peer = established();
    peer.frame(FrameType.HEADERS, 0, 1, Buffer.from([0x82]));
    peer.nowMs = 9_999;
    peer.connection.tick(peer.nowMs);
    assert.equal(peer.connection.finished, false);
    peer.nowMs = 10_000;
    peer.connection.tick(peer.nowMs);
    peer.endsWith("ENHANCE_YOUR_CALM");
  });

  it("gets its request refused and keeps its connection when a small block unfolds to a large list", () => {
    const peer = established();
    peer.frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, peer.block(["bomb", "x".repeat(3_900)]));
    peer.resets(1, "PROTOCOL_ERROR");
    // Each of these bytes stands for the 3,936 of the entry above.
    peer.frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 3, Buffer.alloc(16_000, 0x80 | 62));
    assert.deepEqual(peer.seen.get(3)?.stream.request.fields, []);
    assert.equal(peer.connection.finished, false);
  });
});

describe("a client that hides much in little", () => {
  it("pays for what its blocks unfold to", () => {
    const peer = established();
    peer.frame(FrameType.HEADERS, END_HEADERS | END_STREAM, 1, peer.block(["bomb", "x".repeat(3_900)]));
    let taken = 0;
    for (let id = 3; !peer.connection.finished && taken < 100; id += 2, taken += 1) {
      peer.frame(FrameType.HEADERS, END_HEADERS | END_STREAM, id, Buffer.alloc(16_000, 0x80 | 62));
      if (peer.connection.finished) break;
      peer.connection.take();
      peer.stream(id).sendHeaders(okHeaders, [], true);
    }
    peer.endsWith("ENHANCE_YOUR_CALM");
    assert.equal(taken, 1);
  });
});

describe("a client that says more behind the end", () => {
  it("hears of one end, however its bytes come", () => {
    const frames = [
      frameBytes(FrameType.PING, FrameFlag.ACK, 0, Buffer.from("leaving!")),
      // The head of a frame that is too long.
      Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]),
    ];
    for (const pieces of [frames, [Buffer.concat(frames)]]) {
      const peer = established();
      peer.connection.leave();
      peer.sent();
      for (const piece of pieces) peer.receive(piece);
      assert.deepEqual([peer.connection.finished, peer.connection.failure], [true, undefined]);
      assert.deepEqual(peer.goAway(), { code: "NO_ERROR", lastStreamId: 0, reason: "" });
    }
  });
});

describe("a client that plays with windows", () => {
  it("gets nothing with windows of no size, and costs no more than what one write left behind", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 0));
    peer.open(1, true);
    const stream = peer.stream(1);
    stream.sendHeaders(okHeaders, [], false);
    stream.sendBytes(Buffer.alloc(100_000));
    assert.equal(peer.connection.sender.hasRoom(stream), false);
    peer.connection.pump();
    assert.deepEqual(
      peer.sent().map(({ type }) => type),
      [FrameType.HEADERS],
    );
    assert.equal(peer.connection.hasWork, false);
  });

  it("gets no new stream while much waits for its windows", () => {
    const peer = new ScriptedPeer({ maxPendingResponseBytes: 100_000 });
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 0));
    for (const id of [1, 3]) {
      peer.open(id, true);
      peer.stream(id).sendHeaders(okHeaders, [], false);
      peer.stream(id).sendBytes(Buffer.alloc(60_000));
    }
    peer.sent();
    peer.open(5, true);
    peer.resets(5, "REFUSED_STREAM");
    peer.frame(FrameType.RST_STREAM, 0, 1, uint32(8));
    peer.windowUpdate(3, 20_000);
    while (peer.connection.hasWork) peer.connection.pump();
    assert.equal(peer.connection.sender.pendingBytes, 40_000);
    peer.open(7, true);
    assert.ok(peer.seen.has(7));
    peer.connection.disconnected();
    assert.equal(peer.connection.sender.pendingBytes, 0);
  });

  it("is told to calm down when it lets the answer out byte by byte", () => {
    const peer = new ScriptedPeer();
    peer.begin(setting(SettingId.INITIAL_WINDOW_SIZE, 0));
    peer.open(1, true);
    peer.stream(1).sendHeaders(okHeaders, [], false);
    peer.stream(1).sendBytes(Buffer.alloc(60_000));
    const taken = flood(peer, () => {
      peer.connection.pump();
      return frameBytes(FrameType.WINDOW_UPDATE, 0, 1, uint32(1));
    });
    peer.endsWith("ENHANCE_YOUR_CALM");
    assert.ok(taken < 21_000);
  });

  it("pays for each window that a change of the initial size moves", () => {
    const peer = established();
    for (let n = 0; n < 6_400; n += 1) peer.open(2 * n + 1, true);
    const taken = flood(peer, (n) => frameBytes(FrameType.SETTINGS, 0, 0, setting(4, 1_000 + (n % 2))));
    peer.endsWith("ENHANCE_YOUR_CALM");
    assert.ok(taken < 300, `${taken} changes`);
  });

  it("loses the stream on which it sends more than the window", () => {
    const peer = new ScriptedPeer({}, false);
    peer.begin();
    peer.open(1);
    const frame = frameBytes(FrameType.DATA, 0, 1, Buffer.alloc(16_384));
    for (let n = 0; n < 16; n += 1) peer.receive(frame);
    assert.equal(peer.seen.get(1)?.bytes, 262_144);
    peer.sent();
    peer.receive(frame);
    peer.resets(1, "FLOW_CONTROL_ERROR");
  });
});

describe("a client that does not speak HTTP/2", () => {
  it("is told so at its first wrong byte", () => {
    for (const garbage of ["GET / HTTP/1.1\r\n\r\n", "\0", "\x16\x03\x01", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"]) {
      const peer = new ScriptedPeer();
      peer.receive(Buffer.from(garbage, "latin1"));
      peer.endsWith("PROTOCOL_ERROR", garbage);
    }
  });

  it("is cut off when it says nothing, or begins and does not go on", () => {
    for (const bytes of [Buffer.alloc(0), clientPreface.subarray(0, 10), clientPreface]) {
      const peer = new ScriptedPeer();
      peer.receive(bytes);
      peer.connection.tick(19_999);
      assert.equal(peer.connection.finished, false);
      peer.connection.tick(20_000);
      peer.endsWith("SETTINGS_TIMEOUT");
    }
  });
});

describe("whatever a client sends", () => {
  it("the connection answers or ends, in any pieces", () => {
    const frame = fc
      .record({
        type: fc.integer({ min: 0, max: 11 }),
        flags: fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0x2d),
        id: fc.constantFrom(0, 1, 2, 3, 5, 7),
        payload: fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.constantFrom(Buffer.from([0x83, 0x86, 0x84]), Buffer.alloc(8), Buffer.alloc(4), setting(4, 5)),
        ),
      })
      .map(({ type, flags, id, payload }) => frameBytes(type, flags, id, payload));
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 30 }), fc.integer({ min: 1, max: 50 }), (frames, cut) => {
        const peer = established();
        peer.open(1);
        const bytes = Buffer.concat(frames);
        for (let at = 0; at < bytes.length; at += cut) peer.receive(bytes.subarray(at, at + cut));
        peer.connection.pump();
        peer.connection.tick(1e6);
        const open = [...peer.seen.values()].filter(({ stream }) => stream.open).length;
        assert.equal(open, peer.connection.streamCount);
        if (peer.connection.finished) assert.equal(open, 0);
      }),
      { numRuns: 400 },
    );
  });
});
