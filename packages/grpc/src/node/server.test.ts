import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer as createNetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { credentials, status } from "@grpc/grpc-js";
import { clientPreface } from "../http2/connection/frame-reader.ts";
import { FrameFlag, FrameType } from "../http2/frame/frame-header.ts";
import { SettingId } from "../http2/frame/settings.ts";
import { selfSigned } from "../testing/certificate.ts";
import { readAll, TextClient } from "../testing/grpc-js-client.ts";
import { serve } from "../testing/rig.ts";
import { frameBytes, ScriptedPeer, setting, uint32 } from "../testing/scripted-peer.ts";
import { serverStreaming, unary } from "../testing/text-service.ts";
import { createServer } from "./server.ts";

const echo = unary("Echo", (text) => text);
const settings = Buffer.concat([clientPreface, frameBytes(FrameType.SETTINGS, 0, 0, Buffer.alloc(0))]);

/** Connects and reads until the server hangs up. */
async function readUntilClosed(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  await once(socket, "close");
  return Buffer.concat(chunks);
}

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setImmediate(resolve));
}

describe("listening", () => {
  it("works on TCP, on a Unix socket and on a socket handed in, all at once", async (t) => {
    const { server, client } = await serve(t, [echo]);
    const folder = mkdtempSync(join(tmpdir(), "tokenwire-grpc-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "socket");
    const listener = await server.listen({ path });
    assert.deepEqual([listener.host, listener.port], [path, 0]);
    const unix = new TextClient(`unix:${path}`);
    t.after(() => unix.close());
    const front = createNetServer((socket) => server.accept(socket)).listen(0, "127.0.0.1");
    t.after(() => front.close());
    await once(front, "listening");
    const address = front.address();
    assert.ok(typeof address === "object" && address !== null);
    const other = new TextClient(address.port);
    t.after(() => other.close());
    for (const one of [client, unix, other]) assert.equal((await one.unary("Echo", "a")).message, "a");
    assert.equal(server.connections, 3);
  });

  it("works on a listening socket that was inherited", { skip: process.platform === "win32" }, async (t) => {
    const parent = createNetServer().listen(0, "127.0.0.1");
    await once(parent, "listening");
    const address = parent.address();
    assert.ok(typeof address === "object" && address !== null);
    // `_handle` is Node's own name for what holds the descriptor.
    const { fd } = (parent as unknown as { _handle: { fd: number } })._handle;
    const program = join(import.meta.dirname, "../testing/inherited-listener.ts");
    const child = spawn(process.execPath, [...process.execArgv, program], {
      stdio: ["ignore", "pipe", "inherit", fd],
    });
    t.after(() => child.kill("SIGKILL"));
    assert.ok(child.stdout !== null);
    await once(child.stdout, "data");
    parent.close();
    const client = new TextClient(address.port);
    t.after(() => client.close());
    assert.equal((await client.unary("Echo", "a")).message, "a");
  });

  it("fails with the system's error for an address in use, and after close", async (t) => {
    const { server, listener } = await serve(t, [echo]);
    const again = server.listen({ host: "127.0.0.1", port: listener.port });
    await assert.rejects(again, { code: "EADDRINUSE" });
    await server.close("over");
    await assert.rejects(server.listen({ host: "127.0.0.1", port: 0 }), /after close/);
  });

  it("refuses a method twice and a service after listening", async (t) => {
    const { server } = await serve(t, [echo]);
    assert.throws(() => server.register({ name: "late.Service", methods: [] }), /before the server listens/);
    assert.throws(() => createServer().register({ name: "a.B", methods: [echo, echo] }), /\/a\.B\/Echo .* twice/);
  });

  it("refuses limits that are none", () => {
    assert.throws(() => createServer({ limits: { maxConcurrentStreams: 0 } }), /maxConcurrentStreams is 0/);
    assert.throws(() => createServer({ limits: { maxReceiveMessageBytes: 1.5 } }), /whole number/);
    assert.throws(() => createServer({ limits: { maxWindowBytes: 2 ** 31 } }), /2147483647/);
    assert.throws(() => createServer({ limits: { keepaliveTimeMs: Number.NaN } }), RangeError);
  });

  it("turns connections above the bound away", async (t) => {
    const { listener, client } = await serve(t, [echo], { limits: { maxConnections: 1 } });
    await client.unary("Echo", "a");
    assert.deepEqual(await readUntilClosed(connect(listener.port, "127.0.0.1")), Buffer.alloc(0));
  });
});

describe("TLS", () => {
  const [one, two, clientOwn] = [selfSigned("one"), selfSigned("two"), selfSigned("client")];
  const secure = (root: { cert: string }, own?: { cert: string; key: string }) =>
    credentials.createSsl(
      Buffer.from(root.cert),
      own === undefined ? null : Buffer.from(own.key),
      own === undefined ? null : Buffer.from(own.cert),
    );

  it("negotiates h2, and other certificates are taken without dropping what stands", async (t) => {
    const { server } = await serve(t, [echo]);
    const listener = await server.listen({ host: "127.0.0.1", port: 0, tls: one });
    const client = new TextClient(listener.port, { secure: secure(one) });
    t.after(() => client.close());
    assert.equal((await client.unary("Echo", "x".repeat(200_000))).message.length, 200_000);
    const connections = server.connections;
    listener.setCertificates(two);
    assert.throws(() => listener.setCertificates({ cert: "nonsense", key: two.key }));
    assert.equal((await client.unary("Echo", "still")).message, "still");
    assert.equal(server.connections, connections);
    const socket = connectTls({
      port: listener.port,
      host: "127.0.0.1",
      servername: "localhost",
      ca: two.cert,
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "h2");
    assert.equal(socket.getPeerCertificate().subject.CN, "two");
    socket.destroy();
    await assert.rejects(async () => {
      const wrong = connectTls({
        port: listener.port,
        host: "127.0.0.1",
        servername: "localhost",
        ca: two.cert,
        ALPNProtocols: ["http/1.1"],
      });
      await once(wrong, "secureConnect");
    });
  });

  it("demands a client certificate where it is told to", async (t) => {
    const { server } = await serve(t, [echo]);
    const tls = { ...one, ca: clientOwn.cert, clientCertificate: "require" as const };
    const { port } = await server.listen({ host: "127.0.0.1", port: 0, tls });
    const known = new TextClient(port, { secure: secure(one, clientOwn) });
    t.after(() => known.close());
    assert.equal((await known.unary("Echo", "a")).message, "a");
    for (const own of [undefined, two]) {
      const stranger = new TextClient(port, { secure: secure(one, own) });
      t.after(() => stranger.close());
      assert.equal((await stranger.failure("Echo", "")).code, status.UNAVAILABLE);
    }
  });

  it("has no certificates to change on a listener without it", async (t) => {
    const { listener } = await serve(t, [echo]);
    assert.throws(() => listener.setCertificates(one), /no TLS/);
  });
});

describe("strangers on the port", () => {
  it("hear GOAWAY and are cut off when they speak something else", async (t) => {
    const { listener, events, server } = await serve(t, [echo]);
    const socket = connect(listener.port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const bytes = await readUntilClosed(socket);
    assert.match(bytes.toString("latin1"), /does not begin with HTTP\/2's preface/);
    await until(() => server.connections === 0);
    assert.ok(events.some((event) => event.t === "connection-failed" && event.code === "PROTOCOL_ERROR"));
  });

  it("are cut off when they say nothing at all", async (t) => {
    const { listener } = await serve(t, [echo], { limits: { handshakeTimeoutMs: 40 } });
    const silent = readUntilClosed(connect(listener.port, "127.0.0.1"));
    const half = connect(listener.port, "127.0.0.1");
    half.write(clientPreface.subarray(0, 5));
    await Promise.all([silent, readUntilClosed(half)]);
  });

  it("get a plain answer when they make a plain request", async (t) => {
    const { listener } = await serve(t, [echo]);
    const { connect: connectHttp2 } = await import("node:http2");
    const session = connectHttp2(`http://127.0.0.1:${listener.port}`);
    t.after(() => session.destroy());
    for (const [fields, expected] of [
      [{ ":method": "GET", ":path": "/" }, 405],
      [{ ":method": "HEAD", ":path": "/" }, 405],
      [{ ":method": "POST", ":path": "/test.Text/Echo" }, 415],
      [{ ":method": "POST", ":path": "/test.Text/Echo", "content-type": "application/grpc-web" }, 415],
    ] as const) {
      const stream = session.request(fields);
      stream.end();
      stream.resume();
      const [headers] = await once(stream, "response");
      assert.equal(headers[":status"], expected);
      if (!stream.closed) await once(stream, "close");
    }
    for (const [fields, code] of [
      [{ "grpc-encoding": "snappy" }, "12"],
      [{ "grpc-timeout": "soon" }, "3"],
      [{ "x-large": "y".repeat(15_000), "x-larger": "y".repeat(15_000) }, "8"],
    ] as const) {
      const stream = session.request({
        ":method": "POST",
        ":path": "/test.Text/Echo",
        "content-type": "application/grpc+proto",
        ...fields,
      });
      stream.on("error", () => undefined);
      stream.resume();
      const [headers] = await once(stream, "response");
      assert.equal(headers["grpc-status"], code);
      if (code === "12") assert.equal(headers["grpc-accept-encoding"], "identity,gzip");
      stream.close();
    }
  });

  it("that do not read are not read from, and hold a bounded amount", async (t) => {
    let written = 0;
    const { listener, server } = await serve(t, [
      serverStreaming("Flood", async (_text, call) => {
        while (!call.signal.aborted) {
          if (!call.write("x".repeat(1_000))) await call.drained();
          written += 1_000;
        }
      }),
    ]);
    const socket = connect(listener.port, "127.0.0.1");
    socket.on("error", () => undefined);
    const fields = [
      ":method",
      "POST",
      ":scheme",
      "http",
      ":path",
      "/test.Text/Flood",
      "content-type",
      "application/grpc",
    ];
    const { block, wide } = { block: new ScriptedPeer().block(fields), wide: uint32(2 ** 31 - 1 - 65_535) };
    // The windows are wide open: only the socket holds the server back.
    socket.write(clientPreface);
    socket.write(frameBytes(FrameType.SETTINGS, 0, 0, setting(SettingId.INITIAL_WINDOW_SIZE, 2 ** 31 - 1)));
    socket.write(frameBytes(FrameType.WINDOW_UPDATE, 0, 0, wide));
    for (const id of [1, 3, 5, 7]) {
      const head = id === 1 ? block : Buffer.from([0x83, 0x86, 0xbf, 0xbe]);
      socket.write(frameBytes(FrameType.HEADERS, FrameFlag.END_HEADERS, id, head));
      socket.write(frameBytes(FrameType.DATA, FrameFlag.END_STREAM, id, Buffer.alloc(5)));
    }
    socket.pause();
    await until(() => server.activeCalls === 4);
    let before = -1;
    while (written !== before) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(written < 30_000_000, `${written}`);
    socket.destroy();
    await server.idle();
    assert.equal(server.activeCalls, 0);
  });
});

describe("refusing new calls", () => {
  it("fails them with the reason on old and new connections, while calls in flight run to their end", async (t) => {
    const release = Promise.withResolvers<void>();
    const { client, server, listener } = await serve(t, [
      echo,
      serverStreaming("Slow", async (_text, call) => {
        call.write("first");
        await release.promise;
        call.write("last");
      }),
      serverStreaming(
        "Watch",
        async (_text, call) => {
          call.write("now");
          await once(call.signal, "abort");
        },
        true,
      ),
    ]);
    const slow = client.stream("Slow", "");
    const [first] = await once(slow, "data");
    const watch = client.stream("Watch", "");
    await once(watch, "data");
    const watched = readAll(watch);
    server.refuseNewCalls("the server is going away");
    server.refuseNewCalls("a second reason is not heard");
    const stranger = new TextClient(listener.port);
    t.after(() => stranger.close());
    for (const other of [client, stranger]) {
      const failure = await other.failure("Echo", "");
      assert.deepEqual([failure.code, failure.details], [status.UNAVAILABLE, "the server is going away"]);
    }
    const idle = server.idle();
    release.resolve();
    const { messages, failure } = await readAll(slow);
    assert.deepEqual([first, ...messages, failure], ["first", "last", undefined]);
    await idle;
    assert.equal(server.activeCalls, 1);
    const closed = server.close("gone");
    assert.equal(server.close("again"), closed);
    const { failure: end } = await watched;
    assert.deepEqual([end?.code, end?.details], [status.UNAVAILABLE, "gone"]);
    await closed;
    assert.deepEqual([server.activeCalls, server.connections], [0, 0]);
  });

  it("leaves services that serve while draining alone", async (t) => {
    const server = createServer();
    server.register({ name: "test.Text", methods: [echo] });
    server.register({ name: "test.Health", methods: [echo], servesWhileDraining: true });
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    const client = new TextClient(port);
    t.after(() => client.close());
    t.after(() => server.close("over"));
    server.refuseNewCalls("draining");
    assert.equal((await client.unary("/test.Health/Echo", "here")).message, "here");
    assert.equal((await client.failure("Echo", "")).code, status.UNAVAILABLE);
  });

  it("lets a connection go behind its last call", async (t) => {
    const { client, server } = await serve(t, [echo]);
    await client.unary("Echo", "");
    assert.equal(server.connections, 1);
    server.refuseNewCalls("going");
    await until(() => server.connections === 0);
  });
});

describe("closing", () => {
  it("does not wait for a handler that never returns, nor for a client that never reads", async (t) => {
    const begun = Promise.withResolvers<void>();
    const { client, server, listener } = await serve(
      t,
      [
        unary("Stuck", () => {
          begun.resolve();
          return new Promise(() => undefined);
        }),
      ],
      { closeGraceMs: 20 },
    );
    const deaf = connect(listener.port, "127.0.0.1");
    deaf.on("error", () => undefined);
    deaf.write(settings);
    const failure = client.failure("Stuck", "");
    await begun.promise;
    await server.close("now");
    assert.deepEqual([(await failure).code, (await failure).details], [status.UNAVAILABLE, "now"]);
    deaf.destroy();
  });

  it("is well without ever having listened", async () => {
    const server = createServer();
    server.refuseNewCalls("never mind");
    await server.idle();
    await server.close("over");
  });
});

describe("a connection that breaks", () => {
  it("in the middle of a message ends its call CANCELLED", async (t) => {
    const ended = Promise.withResolvers<number>();
    const { listener, server } = await serve(t, [
      serverStreaming("Watch", async (_text, call) => {
        call.signal.addEventListener("abort", () => ended.resolve(call.signal.reason.code));
        call.sendHeaders();
        await ended.promise;
      }),
    ]);
    const { connect: connectHttp2 } = await import("node:http2");
    const session = connectHttp2(`http://127.0.0.1:${listener.port}`);
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": "/test.Text/Watch",
      "content-type": "application/grpc",
    });
    stream.on("error", () => undefined);
    stream.end(Buffer.alloc(5));
    await once(stream, "response");
    session.socket.destroy();
    assert.equal(await ended.promise, status.CANCELLED);
    await server.idle();
  });
});
