import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp1Server } from "node:http";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { suite, type TestContext, test } from "node:test";
import { probe } from "./probe.ts";
import type { ProbeOptions } from "./probe-options.ts";
import { selfSigned } from "./testing/self-signed.ts";

const { cert, key } = selfSigned();

const grpcHeaders = { ":status": 200, "content-type": "application/grpc" };

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: Buffer) => void;

/** Answers one message and then grpc-status 0. */
function answering(...message: number[]): Handler {
  return (stream) => {
    stream.respond(grpcHeaders, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Uint8Array.of(0, 0, 0, 0, message.length, ...message));
  };
}

/** Listens on a free port and closes everything when the test ends. */
async function listening(t: TestContext, server: Server): Promise<ProbeOptions> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

function handle<S extends Http2Server | Http2SecureServer>(server: S, handler: Handler): S {
  server.on("sessionError", () => {});
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    const chunks: Buffer[] = [];
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => handler(stream, headers, Buffer.concat(chunks)));
  });
  return server;
}

function plain(t: TestContext, handler: Handler): Promise<ProbeOptions> {
  return listening(t, handle(createServer(), handler));
}

async function secure(t: TestContext, options: SecureServerOptions = {}): Promise<ProbeOptions> {
  const server = createSecureServer({ cert, key, ...options });
  server.on("tlsClientError", () => {});
  return await listening(t, handle(server, answering(8, 1)));
}

suite("probe", () => {
  test("answers the status that the server gave", async (t) => {
    for (const [message, status] of [
      [[8, 1], "SERVING"],
      [[8, 2], "NOT_SERVING"],
      [[8, 3], "SERVICE_UNKNOWN"],
      [[], "UNKNOWN"],
    ] as const) {
      const result = await probe(await plain(t, answering(...message)));
      assert.ok(result.t === "status" && result.connectMs > 0 && result.rpcMs > 0);
      assert.equal(result.status, status);
    }
  });

  test("sends a Check with service, deadline, user agent and metadata, and then closes its connection", async (t) => {
    let seen: { headers: IncomingHttpHeaders; body: Buffer } | undefined;
    let closed: Promise<unknown> | undefined;
    const address = await plain(t, (stream, headers, body) => {
      seen = { headers, body };
      closed = once(stream.session as ServerHttp2Session, "close");
      answering(8, 1)(stream, headers, body);
    });
    await probe({ ...address, service: "ab", rpcTimeoutMs: 700, userAgent: "me/1", metadata: { "x-key": "v" } });
    await closed;
    assert.equal(seen?.body.toString("hex"), "00000000040a026162");
    assert.equal(seen?.headers[":method"], "POST");
    assert.equal(seen?.headers[":path"], "/grpc.health.v1.Health/Check");
    assert.equal(seen?.headers[":authority"], `127.0.0.1:${address.port}`);
    assert.equal(seen?.headers["content-type"], "application/grpc");
    assert.equal(seen?.headers.te, "trailers");
    assert.equal(seen?.headers["grpc-timeout"], "700m");
    assert.equal(seen?.headers["user-agent"], "me/1");
    assert.equal(seen?.headers["x-key"], "v");
  });

  test("a failed call is its code and message", async (t) => {
    const address = await plain(t, (stream) => {
      stream.respond(
        { ...grpcHeaders, "grpc-status": "5", "grpc-message": "Unknown service: x%0a" },
        { endStream: true },
      );
    });
    assert.deepEqual(await probe(address), { t: "rpc-failed", code: 5, message: "Unknown service: x " });
  });

  test("a server that connects and does not answer is DEADLINE_EXCEEDED", async (t) => {
    const address = await plain(t, () => {});
    const result = await probe({ ...address, rpcTimeoutMs: 30 });
    assert.deepEqual(result, { t: "rpc-failed", code: 4, message: "No answer within 30 ms" });
  });

  test("a message without an end is DEADLINE_EXCEEDED too", async (t) => {
    const address = await plain(t, (stream) => {
      stream.respond(grpcHeaders);
      stream.write(Uint8Array.of(0, 0, 0, 0, 2, 8, 1));
    });
    const result = await probe({ ...address, rpcTimeoutMs: 30 });
    assert.equal(result.t === "rpc-failed" && result.code, 4);
  });

  test("a connection that breaks during the call is UNAVAILABLE", async (t) => {
    const address = await plain(t, (stream) => stream.session?.socket.destroy());
    const result = await probe(address);
    assert.equal(result.t === "rpc-failed" && result.code, 14);
  });

  test("a call that the server resets has the code of the reset", async (t) => {
    const address = await plain(t, (stream) => stream.close(7));
    const result = await probe(address);
    assert.equal(result.t === "rpc-failed" && result.code, 14);
  });

  test("an answer without end in bytes is cut off", async (t) => {
    const address = await plain(t, (stream) => {
      stream.respond(grpcHeaders);
      stream.write(Buffer.alloc(100_000));
    });
    const result = await probe(address);
    assert.equal(result.t === "rpc-failed" && result.code, 8);
  });

  test("a port where nobody listens is a failed connection that says why", async (t) => {
    const server = createTcpServer();
    const address = await listening(t, server);
    server.close();
    await once(server, "close");
    const result = await probe(address);
    assert.ok(result.t === "connect-failed" && result.reason === "error");
    assert.match(result.message, /ECONNREFUSED/);
    const byName = await probe({ ...address, host: "localhost" });
    assert.match(byName.t === "connect-failed" ? byName.message : "", /ECONNREFUSED/);
  });

  test("a listener that says nothing is a connect timeout", async (t) => {
    const address = await listening(t, createTcpServer());
    const result = await probe({ ...address, connectTimeoutMs: 30 });
    assert.deepEqual(result, {
      t: "connect-failed",
      reason: "timeout",
      message: "No HTTP/2 connection within 30 ms",
    });
  });

  test("a listener that hangs up is a failed connection", async (t) => {
    const address = await listening(
      t,
      createTcpServer((socket) => socket.end()),
    );
    const result = await probe(address);
    assert.equal(result.t === "connect-failed" && result.reason, "error");
  });

  test("an HTTP/1 server is a failed connection", async (t) => {
    const address = await listening(
      t,
      createHttp1Server((_request, response) => response.end()),
    );
    const result = await probe(address);
    assert.equal(result.t === "connect-failed" && result.reason, "error");
  });

  test("a server whose SETTINGS are empty is connected", async (t) => {
    const server = createTcpServer((socket) => {
      socket.write(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0));
      socket.resume();
    });
    const result = await probe({ ...(await listening(t, server)), rpcTimeoutMs: 30 });
    assert.equal(result.t === "rpc-failed" && result.code, 4);
  });

  test("a server that leaves before the call is UNAVAILABLE", async (t) => {
    const settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const goAway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const server = createTcpServer((socket) => {
      socket.write(Uint8Array.from([...settings, ...goAway]));
      socket.resume();
    });
    const result = await probe(await listening(t, server));
    assert.equal(result.t === "rpc-failed" && result.code, 14);
  });

  test("over TLS the certificate is verified, against the name that is asked for", async (t) => {
    const address = await secure(t);
    const trusted = await probe({ ...address, tls: { ca: cert, serverName: "probe.test" } });
    assert.equal(trusted.t, "status");
    const untrusted = await probe({ ...address, tls: { serverName: "probe.test" } });
    assert.match(untrusted.t === "connect-failed" ? untrusted.message : "", /self.signed/);
    const otherName = await probe({ ...address, tls: { ca: cert, serverName: "other.test" } });
    assert.match(otherName.t === "connect-failed" ? otherName.message : "", /other\.test/);
  });

  test("insecureSkipVerify takes any certificate", async (t) => {
    const result = await probe({ ...(await secure(t)), tls: { insecureSkipVerify: true } });
    assert.equal(result.t, "status");
  });

  test("a client certificate is shown to a server that asks for one", async (t) => {
    const address = await secure(t, { requestCert: true, rejectUnauthorized: true, ca: cert });
    const tls = { ca: cert, serverName: "probe.test" };
    assert.equal((await probe({ ...address, tls: { ...tls, cert, key } })).t, "status");
    assert.notEqual((await probe({ ...address, tls })).t, "status");
  });

  test("plaintext against TLS, and TLS against plaintext, are failed connections", async (t) => {
    assert.equal((await probe(await secure(t))).t, "connect-failed");
    const address = await plain(t, answering(8, 1));
    assert.equal((await probe({ ...address, tls: { insecureSkipVerify: true } })).t, "connect-failed");
  });

  test("a certificate that is not PEM is a failed connection that says why", async (t) => {
    const result = await probe({ ...(await secure(t)), tls: { cert: "x", key: "x" } });
    assert.match(result.t === "connect-failed" ? result.message : "", /PEM/);
  });

  test("options that cannot be used are refused by name", async () => {
    const good = { host: "localhost", port: 1 };
    for (const [options, message] of [
      [{ ...good, host: "" }, /^host/],
      [{ ...good, host: "a b" }, /^host/],
      [{ ...good, host: "[::1]" }, /^host/],
      [{ ...good, port: 0 }, /^port: 0/],
      [{ ...good, port: 65_536 }, /^port: 65536/],
      [{ ...good, connectTimeoutMs: 0 }, /^connectTimeoutMs: 0/],
      [{ ...good, rpcTimeoutMs: 100_000_000 }, /^rpcTimeoutMs/],
      [{ ...good, service: "x".repeat(1025) }, /^service name/],
      [{ ...good, userAgent: "a\nb" }, /^userAgent/],
      [{ ...good, metadata: { "X-Key": "v" } }, /^metadata/],
      [{ ...good, metadata: { te: "v" } }, /^metadata/],
      [{ ...good, metadata: { "x-key": "é" } }, /^metadata x-key/],
      [{ ...good, tls: { cert: "c" } }, /^tls: cert and key/],
    ] as const) {
      await assert.rejects(probe(options), { message });
    }
  });
});
