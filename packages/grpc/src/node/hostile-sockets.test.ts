import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { clientPreface } from "../http2/connection/frame-reader.ts";
import { FrameFlag, FrameType } from "../http2/frame/frame-header.ts";
import { SettingId } from "../http2/frame/settings.ts";
import { selfSigned } from "../testing/certificate.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { serve } from "../testing/rig.ts";
import { frameBytes, ScriptedPeer, setting, uint32 } from "../testing/scripted-peer.ts";
import { unary } from "../testing/text-service.ts";

const { END_HEADERS, END_STREAM } = FrameFlag;
const windows = Buffer.concat([
  clientPreface,
  frameBytes(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff)),
  frameBytes(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fff_0000 - 65_535)),
]);
/** More than the kernel's buffers of both ends take. */
const largeBytes = 30_000_000;

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setImmediate(resolve));
}

/** A connection that reads only what it is told to. */
async function connected(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  t.after(() => socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

function request(id: number, method: string): Buffer {
  const block = new ScriptedPeer().block([
    ":method",
    "POST",
    ":scheme",
    "http",
    ":path",
    `/test.Text/${method}`,
    "content-type",
    "application/grpc",
  ]);
  const empty = frameBytes(FrameType.DATA, END_STREAM, id, Buffer.alloc(5));
  return Buffer.concat([frameBytes(FrameType.HEADERS, END_HEADERS, id, block), empty]);
}

describe("a client that does not read", () => {
  it("is cut off some time after it broke a rule, though our last bytes did not leave", async (t) => {
    const clock = new ManualClock();
    const { server, listener } = await serve(t, [unary("Large", () => "x".repeat(largeBytes))], { clock });
    const socket = await connected(t, listener.port);
    socket.write(Buffer.concat([windows, request(1, "Large")]));
    await until(() => server.activeCalls === 1);
    // Not a frame of a client; it is read, since one answer alone is no backlog of output yet.
    socket.write(frameBytes(FrameType.PUSH_PROMISE, 0, 1, Buffer.alloc(4)));
    await until(() => server.activeCalls === 0);
    clock.advance(19_000);
    assert.equal(server.connections, 1);
    clock.advance(2_000);
    await until(() => server.connections === 0);
  });

  it("gets an answer whole that it begins to read long after the connection was to end", async (t) => {
    const clock = new ManualClock();
    const { server, listener } = await serve(t, [unary("Large", () => "x".repeat(largeBytes))], { clock });
    const socket = await connected(t, listener.port);
    socket.write(Buffer.concat([windows, request(1, "Large")]));
    await until(() => server.activeCalls === 1);
    server.refuseNewCalls("the server is going away");
    for (let second = 0; second < 30; second += 1) clock.advance(1_000);
    let bytes = 0;
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    await once(socket, "end");
    assert.ok(bytes > largeBytes, `${bytes} bytes`);
  });

  it("is read from no more once much waits for it, so that small requests do not pile up long answers", async (t) => {
    let calls = 0;
    const { listener } = await serve(t, [
      unary("Count", () => {
        calls += 1;
        return "x".repeat(10_000);
      }),
    ]);
    const socket = await connected(t, listener.port);
    const requests = Array.from({ length: 10_000 }, (_, n) => request(2 * n + 1, "Count"));
    socket.pause();
    socket.write(Buffer.concat([windows, ...requests]));
    await until(() => calls > 0);
    let before = -1;
    for (let quietTurns = 0; quietTurns < 200; ) {
      quietTurns = calls === before ? quietTurns + 1 : 0;
      before = calls;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(calls < 9_000, `${calls} calls were answered`);
  });
});

describe("a client that sends very many requests at once", () => {
  it("lets others have their turn between, and is answered in its order", async (t) => {
    const order: string[] = [];
    const { listener, client, server } = await serve(
      t,
      [
        unary("Flood", () => {
          order.push("flood");
          return "a";
        }),
        unary("Other", () => {
          order.push("other");
          return "b";
        }),
      ],
      { limits: { maxFramesPerTurn: 10 } },
    );
    await client.unary("Other", "");
    const socket = await connected(t, listener.port);
    const ids: number[] = [];
    const most = 2 * 5_000 - 1;
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = 0; rest.length >= 9; rest = rest.subarray(end)) {
        end = 9 + rest.readUIntBE(0, 3);
        if (rest.length < end) break;
        if (rest[3] === FrameType.DATA) ids.push(rest.readUInt32BE(5));
      }
    });
    const requests = Array.from({ length: 5_000 }, (_, n) => request(2 * n + 1, "Flood"));
    socket.write(Buffer.concat([windows, ...requests]));
    await until(() => order.includes("flood"));
    assert.equal((await client.unary("Other", "")).message, "b");
    assert.ok(order.lastIndexOf("other") < order.lastIndexOf("flood"), "the other waited for all of the flood");
    await until(() => ids.at(-1) === most);
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    );
    assert.deepEqual([ids.length, server.activeCalls], [5_000, 0]);
  });
});

describe("many connections", () => {
  it("are counted from the first byte of a TLS handshake on", async (t) => {
    const { server } = await serve(t, [], { limits: { maxConnections: 3 } });
    const { cert, key } = selfSigned("one");
    const { port } = await server.listen({ host: "127.0.0.1", port: 0, tls: { cert, key } });
    const half = [];
    for (let n = 0; n < 3; n += 1) half.push(await connected(t, port));
    const another = await connected(t, port);
    another.resume();
    await once(another, "close");
    assert.equal(server.connections, 0);
    // Their place is free again when they are gone, also those that never came to speak.
    for (const socket of half) socket.destroy();
    for (;;) {
      const next = await connected(t, port);
      next.resume();
      const refused = once(next, "close").then(() => true);
      const turns = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50));
      if (!(await Promise.race([refused, turns]))) break;
    }
  });

  it("that are idle are held up to the bound, and the next is closed", async (t) => {
    const { server, listener } = await serve(t, [], { limits: { maxConnections: 20 } });
    for (let n = 0; n < 20; n += 1) (await connected(t, listener.port)).write(windows);
    await until(() => server.connections === 20);
    const another = await connected(t, listener.port);
    another.resume();
    await once(another, "close");
    assert.equal(server.connections, 20);
  });
});
