import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { FrameFlag, FrameType, readFrameHeader } from "../http2/frame/frame-header.ts";
import { HpackDecoder } from "../http2/hpack/decoder.ts";
import { limitsOf } from "../limits.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { frameBytes, ScriptedPeer } from "../testing/scripted-peer.ts";
import { bidiStreaming, clientStreaming, serverStreaming, unary } from "../testing/text-service.ts";
import { Deadlines } from "./deadlines.ts";
import { RpcServer, type ServerEvent } from "./rpc-server.ts";
import type { Method } from "./service.ts";

/** A server without sockets, and a client that writes its frames by hand. */
function rig(methods: readonly Method[], limits: Parameters<typeof limitsOf>[0] = {}) {
  const clock = new ManualClock();
  const events: ServerEvent[] = [];
  const server = new RpcServer(limitsOf(limits), clock, (event) => events.push(event));
  server.register({ name: "test.Text", methods });
  const connection = server.connect("peer", () => undefined);
  const encoder = new ScriptedPeer();
  const decoder = new HpackDecoder();
  const frame = (...args: Parameters<typeof frameBytes>) => connection.receive(frameBytes(...args));
  connection.receive(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));
  const headers = (id: number, method: string, more: readonly string[] = [], end = false) => {
    const fields = [":method", "POST", ":scheme", "http", ":path", `/test.Text/${method}`];
    const block = encoder.block([...fields, "content-type", "application/grpc", ...more]);
    frame(FrameType.HEADERS, FrameFlag.END_HEADERS | (end ? FrameFlag.END_STREAM : 0), id, block);
  };
  const data = (id: number, bytes: Uint8Array, end: boolean) =>
    frame(FrameType.DATA, end ? FrameFlag.END_STREAM : 0, id, bytes);
  /** Text of the answers and fields of a stream, in order. */
  const answers = () => {
    const bytes = Buffer.concat(connection.http2.take());
    const found: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      const { length, type, streamId } = readFrameHeader(bytes, at);
      const payload = bytes.subarray(at + 9, at + 9 + length);
      if (type === FrameType.DATA) found.push(`${streamId}:${payload.toString("latin1", 5)}`);
      if (type === FrameType.HEADERS) {
        const { fields } = decoder.decode(payload, 0, length, 1e6);
        const at = fields.indexOf("grpc-status");
        if (at >= 0) found.push(`${streamId}:status ${fields[at + 1]}`);
      }
      at += 9 + length;
    }
    return found;
  };
  return { clock, events, server, connection, headers, data, answers };
}

const message = (text: string | Uint8Array, flag = 0): Buffer => {
  const bytes = Buffer.from(text as string);
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
};
const echo = unary("Echo", (text) => text);
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("a request", () => {
  it("may come byte by byte", () => {
    const { headers, data, answers } = rig([echo]);
    headers(1, "Echo");
    for (const byte of message("slow")) data(1, Buffer.from([byte]), false);
    data(1, Buffer.alloc(0), true);
    assert.deepEqual(answers(), ["1:slow", "1:status 0"]);
  });

  it("with no message, with two, or with a part of one is refused", () => {
    const { headers, data, answers, server } = rig([echo]);
    const cases: readonly (readonly [Buffer, number])[] = [
      [Buffer.alloc(0), 12],
      [Buffer.concat([message("a"), message("b")]), 12],
      [message("abc").subarray(0, 6), 13],
      [message("abc").subarray(0, 3), 13],
      [message("a", 2), 13],
      [message("a", 1), 13],
    ];
    for (const [n, [bytes, code]] of cases.entries()) {
      const id = 2 * n + 1;
      headers(id, "Echo");
      data(id, bytes, true);
      assert.deepEqual(answers(), [`${id}:status ${code}`]);
    }
    headers(101, "Echo", [], true);
    assert.deepEqual(answers(), ["101:status 12"]);
    assert.equal(server.activeCalls, 0);
  });

  it("is inflated in its order, small and large messages alike", async () => {
    const large = Array.from({ length: 3_000 }, (_, n) => `${n * n} `).join("");
    const done = Promise.withResolvers<string[]>();
    const { headers, data } = rig([
      clientStreaming("Join", async (call) => {
        const texts: string[] = [];
        for await (const text of call.requests) texts.push(text);
        done.resolve(texts);
        return "";
      }),
    ]);
    headers(1, "Join", ["grpc-encoding", "gzip"]);
    data(1, message(gzipSync(large), 1), false);
    data(1, Buffer.concat([message("plain"), message(gzipSync("small"), 1)]), false);
    data(1, message(gzipSync(large), 1), true);
    assert.deepEqual(await done.promise, [large, "plain", "small", large]);
  });

  it("is refused when the server holds as much as it may, and what it held is given back", () => {
    const { headers, data, answers } = rig([echo], { maxBufferedRequestBytes: 3_000 });
    const bytes = message("x".repeat(2_000));
    headers(1, "Echo");
    data(1, bytes.subarray(0, 1_900), false);
    headers(3, "Echo");
    data(3, bytes.subarray(0, 1_900), false);
    assert.deepEqual(answers(), ["3:status 8"]);
    data(1, bytes.subarray(1_900), true);
    assert.equal(answers().at(-1), "1:status 0");
    headers(5, "Echo");
    data(5, bytes.subarray(0, 1_900), false);
    data(5, bytes.subarray(1_900), true);
    assert.equal(answers().at(-1), "5:status 0");
  });
});

describe("a request that comes slowly", () => {
  const limits = { requestTimeoutMs: 10_000, keepaliveTimeMs: Number.POSITIVE_INFINITY };
  /** Turns the clock on, as the server's ticks do. */
  const pass = ({ clock, connection }: ReturnType<typeof rig>, ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      clock.advance(Math.min(left, 1_000));
      connection.tick(clock.nowMs());
    }
  };

  it("ends its call when its one message is not whole in time, however its bytes trickle", () => {
    const slow = rig([unary("Echo", () => assert.fail("must not run"))], limits);
    const { headers, data, answers, server } = slow;
    const bytes = message("x".repeat(100));
    headers(1, "Echo");
    headers(3, "Echo");
    data(3, message("all but the end"), false);
    for (let second = 0; second < 10; second += 1) {
      data(1, bytes.subarray(second, second + 1), false);
      assert.deepEqual(answers(), []);
      pass(slow, 1_000);
    }
    pass(slow, 2_500);
    assert.deepEqual(answers(), ["1:status 4", "3:status 4"]);
    assert.deepEqual([server.activeCalls, slow.connection.http2.streamCount], [0, 0]);
  });

  it("may take its time between the messages of a stream, and for each its own", async () => {
    const slow = rig(
      [
        bidiStreaming("Talk", async (call) => {
          for await (const text of call.requests) call.write(text);
        }),
      ],
      limits,
    );
    const { headers, data, answers, server } = slow;
    headers(1, "Talk");
    for (let n = 0; n < 5; n += 1) {
      pass(slow, 60_000);
      const bytes = message(`message ${n}`);
      data(1, bytes.subarray(0, 7), false);
      pass(slow, 7_000);
      // The end of one message and the beginning of the next.
      data(1, Buffer.concat([bytes.subarray(7), Buffer.alloc(3)]), false);
      await settled();
      assert.deepEqual(answers(), [`1:message ${n}`]);
      pass(slow, 7_000);
      data(1, Buffer.alloc(2), false);
      await settled();
      assert.deepEqual(answers(), ["1:"]);
    }
    data(1, Buffer.alloc(1), false);
    pass(slow, 15_000);
    assert.deepEqual(answers(), ["1:status 4"]);
    await settled();
    assert.equal(server.activeCalls, 0);
  });

  it("has all the time in which its handler does not read", async () => {
    const read = Promise.withResolvers<void>();
    const slow = rig(
      [
        clientStreaming("Join", async (call) => {
          await read.promise;
          const texts: string[] = [];
          for await (const text of call.requests) texts.push(text);
          return texts.join();
        }),
      ],
      limits,
    );
    const { headers, data, answers } = slow;
    headers(1, "Join");
    const bytes = message("kept");
    data(1, bytes.subarray(0, 6), false);
    pass(slow, 100_000);
    read.resolve();
    await settled();
    pass(slow, 5_000);
    data(1, bytes.subarray(6), true);
    await settled();
    await settled();
    assert.deepEqual(answers(), ["1:kept", "1:status 0"]);
  });

  it("is answered as it is when it is no gRPC", () => {
    const slow = rig([], limits);
    slow.headers(1, "Echo", ["content-type", "text/plain"]);
    slow.data(1, Buffer.from("a"), false);
    pass(slow, 13_000);
    assert.equal(slow.connection.http2.streamCount, 0);
  });
});

describe("what requests make the server hold", () => {
  const limits = { maxBufferedRequestBytes: 100_000 };
  const neverRun = unary("Echo", () => assert.fail("must not run"));

  it("counts the metadata of calls as long as they go on", async () => {
    const wait = serverStreaming("Wait", async (_text, call) => {
      await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
    });
    const { headers, data, answers, connection, server } = rig([wait], limits);
    const large = ["x-large", "v".repeat(15_000)];
    for (let id = 1; id <= 15; id += 2) {
      headers(id, "Wait", large);
      data(id, message(""), true);
    }
    assert.deepEqual(answers(), ["15:status 8"]);
    // What is left is filled to the last byte; a small call is served all the same.
    headers(17, "Wait", ["x-large", "v".repeat(1_024 + limits.maxBufferedRequestBytes - server.heldBytes - 40)]);
    data(17, message(""), true);
    headers(19, "Wait", ["x-large", "v".repeat(1_100)]);
    headers(21, "Wait", ["x-small", "v".repeat(800)]);
    data(21, message(""), true);
    assert.deepEqual(answers(), ["19:status 8"]);
    assert.equal(server.activeCalls, 9);
    connection.http2.disconnected();
    await settled();
    assert.deepEqual([server.activeCalls, server.heldBytes], [0, 0]);
  });

  it("counts a whole message until its request has come to its end", () => {
    const { headers, data, answers, server } = rig([neverRun], limits);
    for (const id of [1, 3, 5]) headers(id, "Echo");
    for (const id of [1, 3]) {
      for (let n = 0; n < 4; n += 1)
        data(id, message("x".repeat(47_995)).subarray(n * 12_000, (n + 1) * 12_000), false);
    }
    assert.deepEqual(answers(), []);
    data(5, message("x".repeat(15_000)), false);
    assert.deepEqual(answers(), ["5:status 8"]);
    assert.equal(server.activeCalls, 2);
  });

  it("counts what it inflated, and gives all of it back", async () => {
    const { headers, data, answers, connection, server } = rig([unary("Echo", (text) => text.slice(0, 2))], {
      ...limits,
      maxReceiveMessageBytes: 95_000,
    });
    const bomb = gzipSync(Buffer.alloc(90_000, "x"));
    assert.ok(bomb.length < 512);
    headers(1, "Echo", ["grpc-encoding", "gzip"]);
    data(1, message(bomb, 1), false);
    headers(3, "Echo", ["grpc-encoding", "gzip"]);
    data(3, message(bomb, 1), false);
    assert.deepEqual(answers(), ["3:status 8"]);
    data(1, Buffer.alloc(0), true);
    // Larger ones are inflated by other threads, and are on the account until then.
    const noise = gzipSync(randomBytes(10_000));
    for (const id of [5, 7]) {
      headers(id, "Echo", ["grpc-encoding", "gzip"]);
      data(id, message(noise, 1), false);
    }
    connection.http2.disconnected();
    while (server.heldBytes > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([server.heldBytes, server.activeCalls], [0, 0]);
  });

  it("does not inflate what it has no room for", () => {
    const { headers, data, answers, server } = rig([neverRun], { ...limits, maxReceiveMessageBytes: 50_000 });
    headers(1, "Echo");
    for (let n = 0; n < 4; n += 1) data(1, message("x".repeat(59_000)).subarray(n * 12_000, (n + 1) * 12_000), false);
    assert.deepEqual(answers(), ["1:status 8"]);
    headers(3, "Echo");
    for (let n = 0; n < 4; n += 1) data(3, message("x".repeat(49_995)).subarray(n * 12_000, (n + 1) * 12_000), false);
    headers(5, "Echo");
    data(5, message("x".repeat(10_000)).subarray(0, 9_000), false);
    // It is damaged, which only inflating it would show.
    headers(7, "Echo", ["grpc-encoding", "gzip"]);
    data(7, message(Buffer.alloc(400), 1), true);
    assert.deepEqual(answers(), ["7:status 8"]);
    assert.equal(server.activeCalls, 2);
  });

  it("does not keep what was read with a small message", () => {
    let kept = 0;
    const method = unary("Echo", (text) => text);
    const { headers, connection } = rig([
      {
        ...method,
        decodeRequest: (bytes: Uint8Array) => {
          kept = bytes.buffer.byteLength;
          return "";
        },
      } as Method,
    ]);
    headers(1, "Echo");
    const read = Buffer.concat([frameBytes(FrameType.DATA, 0, 1, message("small")), Buffer.alloc(9)]);
    const large = new Uint8Array(65_536);
    large.set(read);
    connection.receive(large.subarray(0, read.length - 9));
    connection.receive(frameBytes(FrameType.DATA, FrameFlag.END_STREAM, 1, Buffer.alloc(0)));
    assert.equal(kept, 5);
  });
});

describe("what a request names", () => {
  it("comes back cut short, so that a few bytes of HPACK are not answered with many", () => {
    const { headers, connection } = rig([echo]);
    const long = "é".repeat(3_000);
    headers(1, long, [], true);
    headers(3, "Echo", ["grpc-timeout", "9".repeat(3_000)], true);
    headers(5, "Echo", ["grpc-encoding", "z".repeat(3_000)], true);
    assert.ok(connection.http2.unsentBytes < 1_800, `${connection.http2.unsentBytes} bytes of answers`);
  });
});

describe("a decoder", () => {
  it("may refuse a request with a status of its own", () => {
    const refuse = () => {
      throw Object.assign(new Error("too old"), { name: "GrpcStatusError", code: 9 });
    };
    const { headers, data, answers } = rig([{ ...echo, decodeRequest: refuse }]);
    headers(1, "Echo");
    data(1, message("a"), true);
    assert.deepEqual(answers(), ["1:status 9"]);
  });
});

describe("a deadline", () => {
  it("ends a call whose request is still on its way, and leaves nothing behind", () => {
    const { headers, data, answers, clock, server, events } = rig([unary("Echo", () => assert.fail("must not run"))]);
    headers(1, "Echo", ["grpc-timeout", "30m"]);
    data(1, message("abc").subarray(0, 6), false);
    clock.advance(29);
    assert.deepEqual(answers(), []);
    clock.advance(9);
    assert.deepEqual(answers(), ["1:status 4"]);
    assert.deepEqual([server.activeCalls, clock.timers, events], [0, 0, []]);
  });

  for (const value of ["0m", "999u", "1n"]) {
    it(`of ${value} has passed when the call arrives, and its handler does not run`, () => {
      const { headers, data, answers, clock } = rig([unary("Echo", () => assert.fail("must not run"))]);
      headers(1, "Echo", ["grpc-timeout", value]);
      data(1, message("abc"), true);
      assert.deepEqual(answers(), ["1:status 4"]);
      assert.equal(clock.timers, 0);
    });
  }

  it("is known to the handler, and costs no timer when the answer comes at once", () => {
    const { headers, data, answers, clock } = rig([unary("When", (_text, call) => String(call.deadlineMs))]);
    const expected = clock.wallMs() + 5_000;
    headers(1, "When", ["grpc-timeout", "5S"]);
    assert.equal(clock.timers, 1);
    headers(3, "When", ["grpc-timeout", "5S"]);
    data(1, message(""), true);
    assert.deepEqual(answers(), [`1:${expected}`, "1:status 0"]);
  });
});

describe("deadlines", () => {
  it("fire in their time, never early, each once, and not when removed", () => {
    const clock = new ManualClock();
    const deadlines = new Deadlines(clock);
    const fired: [number, number][] = [];
    const items = [50, 10, 10.5, 3_000, 49, 8].map((ms) => {
      const atMs = clock.nowMs() + ms;
      const item = { expire: () => fired.push([ms, clock.nowMs() - atMs]) };
      return { ms, item, bucket: deadlines.add(item, atMs) };
    });
    const removed = items[3];
    assert.ok(removed);
    for (let n = 0; n < 100; n += 1) clock.advance(1);
    deadlines.remove(removed.item, removed.bucket);
    clock.advance(10_000);
    assert.deepEqual(
      fired.map(([ms]) => ms).sort((a, b) => a - b),
      [8, 10, 10.5, 49, 50],
    );
    for (const [ms, late] of fired) assert.ok(late >= 0 && late <= 9, `${ms} was ${late} late`);
  });
});

describe("a handler", () => {
  it("that writes behind the end is not heard", async () => {
    const late = Promise.withResolvers<boolean>();
    const { headers, data, answers, connection } = rig([
      serverStreaming("Late", async (_text, call) => {
        call.signal.addEventListener("abort", () => {
          call.sendHeaders();
          late.resolve(call.write("late"));
        });
        await late.promise;
      }),
    ]);
    headers(1, "Late");
    data(1, message(""), true);
    connection.receive(frameBytes(FrameType.RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
    assert.equal(await late.promise, false);
    await settled();
    assert.deepEqual(answers(), []);
  });

  it("that stops reading early leaves the rest with the client", async () => {
    const { headers, data, answers, server } = rig([
      bidiStreaming("Some", async (call) => {
        for await (const text of call.requests) {
          call.write(text);
          if (text === "b") break;
        }
        call.write("done");
      }),
    ]);
    headers(1, "Some");
    for (const text of ["a", "b", "c"]) data(1, message(text), false);
    await settled();
    const found = answers();
    assert.equal(found.at(-1), "1:status 0");
    assert.match(found.join(), /a.*b.*done/s);
    assert.equal(server.activeCalls, 0);
  });

  it("that sends more metadata than the client takes still gets its status across", () => {
    const { headers, data, connection, answers } = rig([
      unary("Fail", () => {
        throw Object.assign(new Error("why"), {
          name: "GrpcStatusError",
          code: 9,
          trailers: { big: "x".repeat(9_000) },
        });
      }),
    ]);
    const setting = Buffer.from([0, 6, 0, 0, 0x20, 0]);
    connection.receive(frameBytes(FrameType.SETTINGS, 0, 0, setting));
    headers(1, "Fail");
    data(1, message(""), true);
    assert.deepEqual(answers(), ["1:status 9"]);
  });
});
