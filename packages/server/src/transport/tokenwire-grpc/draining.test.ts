import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { serverStreaming, unary } from "../../rpc/service.ts";
import { GrpcStatusError } from "../../rpc/status.ts";
import { ListenError } from "./listen-error.ts";
import { createRpcServer } from "./rpc-server.ts";
import { readAll, recordingLog, serve, TextClient, text } from "./testing/rig.ts";

const echo = unary<string, string>("Echo", text, text, async (request) => request);

describe("refusing new calls", () => {
  it("fails new calls with the reason, on old and new connections, while calls in flight run to their end", async (t) => {
    const release = Promise.withResolvers<void>();
    const slow = serverStreaming<string, string>("Slow", text, text, async (_request, call) => {
      call.write("first");
      await release.promise;
      call.write("last");
    });
    const { client, server, port } = await serve(t, [echo, slow]);
    const stream = client.stream("Slow", "");
    const [first] = await once(stream, "data");
    server.refuseNewCalls("the server is going away");
    server.refuseNewCalls("a second reason is not heard");
    const stranger = new TextClient(port);
    t.after(() => stranger.close());
    for (const other of [client, stranger]) {
      const failure = await other.failure("Echo", "");
      assert.deepEqual([failure.code, failure.details], [status.UNAVAILABLE, "the server is going away"]);
    }
    assert.equal(server.activeCalls, 1);
    const idle = server.idle();
    release.resolve();
    const { messages, failure } = await readAll(stream);
    assert.deepEqual([first, ...messages], ["first", "last"]);
    assert.equal(failure, undefined);
    await idle;
    assert.equal(server.activeCalls, 0);
  });

  it("still answers services that serve while draining", async (t) => {
    const { log } = recordingLog();
    const server = createRpcServer({ log });
    server.register({ name: "test.Text", methods: [echo] });
    server.register({ name: "test.Health", methods: [echo], servesWhileDraining: true });
    const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
    const client = new TextClient(port);
    t.after(() => server.close("the test is over"));
    t.after(() => client.close());
    await client.unary("Echo", "");
    server.refuseNewCalls("draining");
    assert.equal((await client.unary("Echo", "here", { service: "test.Health" })).message, "here");
    assert.equal((await client.failure("Echo", "")).code, status.UNAVAILABLE);
  });

  it("does not wait for open-ended calls", async (t) => {
    const watch = serverStreaming<string, string>(
      "Watch",
      text,
      text,
      async (_request, call) => {
        call.write("now");
        await once(call.signal, "abort");
      },
      { openEnded: true },
    );
    const { client, server } = await serve(t, [watch]);
    const stream = client.stream("Watch", "");
    await once(stream, "data");
    assert.equal(server.activeCalls, 1);
    await server.idle();
    const read = readAll(stream);
    await server.close("gone");
    assert.deepEqual([(await read).failure?.code, (await read).failure?.details], [status.UNAVAILABLE, "gone"]);
  });
});

describe("closing", () => {
  it("ends calls in flight UNAVAILABLE with the reason, after their handlers had their turn", async (t) => {
    const reasons: string[] = [];
    const wait = unary<string, string>("Wait", text, text, async (_request, call) => {
      await new Promise((resolve) => {
        call.signal.addEventListener("abort", resolve);
        begun.resolve();
      });
      reasons.push(String(call.signal.reason.message));
      throw GrpcStatusError.of("ABORTED", "a handler's own word does not count here");
    });
    const begun = Promise.withResolvers<void>();
    const { client, server } = await serve(t, [wait], { closeGraceMs: 5_000 });
    const failure = client.failure("Wait", "");
    await begun.promise;
    const closed = server.close("the drain time is over");
    assert.equal(server.close("again"), closed);
    assert.deepEqual([(await failure).code, (await failure).details], [status.UNAVAILABLE, "the drain time is over"]);
    await closed;
    assert.deepEqual(reasons, ["the drain time is over"]);
    assert.equal(server.activeCalls, 0);
  });

  it("does not wait for a handler that never returns, nor for a client that never reads", async (t) => {
    const begun = Promise.withResolvers<void>();
    const stuck = unary<string, string>("Stuck", text, text, () => {
      begun.resolve();
      return new Promise(() => undefined);
    });
    const full = Promise.withResolvers<void>();
    const flood = serverStreaming<string, string>("Flood", text, text, async (_request, call) => {
      while (call.write("x".repeat(50_000)));
      full.resolve();
      await call.drained();
    });
    const { client, server, port } = await serve(t, [stuck, flood], { closeGraceMs: 20 });
    const reader = new TextClient(port);
    t.after(() => reader.close());
    const stream = reader.stream("Flood", "");
    stream.on("error", () => undefined);
    stream.pause();
    const failure = client.failure("Stuck", "");
    await begun.promise;
    await full.promise;
    await server.close("now");
    assert.deepEqual([(await failure).code, (await failure).details], [status.UNAVAILABLE, "now"]);
  });

  it("frees the port", async (t) => {
    const { server, port } = await serve(t, [echo]);
    await server.close("over");
    const { log } = recordingLog();
    const next = createRpcServer({ log });
    assert.equal((await next.listen({ host: "127.0.0.1", port })).port, port);
    await next.close("over");
  });

  it("is well without ever having listened", async () => {
    const { log } = recordingLog();
    const server = createRpcServer({ log });
    server.refuseNewCalls("never mind");
    await server.idle();
    await server.close("over");
    await assert.rejects(server.listen({ host: "127.0.0.1", port: 0 }), /after close/);
  });
});

describe("an address that cannot be bound", () => {
  it("is a sentence with host, port and what to do", async (t) => {
    const { port } = await serve(t, [echo]);
    const { log } = recordingLog();
    const cases = [
      {
        host: "127.0.0.1",
        port,
        code: "EADDRINUSE",
        sentence: `cannot listen on 127.0.0.1:${port}: the port is in use; choose another with --port`,
      },
      {
        host: "192.0.2.1",
        port: 0,
        code: "EADDRNOTAVAIL",
        sentence: "cannot listen on 192.0.2.1:0: this machine does not have that address; choose another with --host",
      },
      {
        host: "::1",
        port: 70_000,
        code: "ERR_SOCKET_BAD_PORT",
        sentence: "cannot listen on [::1]:70000: the port is not in 0..65535; choose another with --port",
      },
    ];
    for (const { host, port: wanted, code, sentence } of cases) {
      const server = createRpcServer({ log });
      await assert.rejects(server.listen({ host, port: wanted }), (error) => {
        assert.ok(error instanceof ListenError);
        assert.deepEqual([error.code, error.message], [code, sentence]);
        return true;
      });
      await server.close("over");
    }
  });

  it("is explained for a name nobody knows and a port that needs a privilege", () => {
    const address = { host: "nowhere.invalid", port: 80 };
    const unknown = ListenError.from(address, Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" }));
    assert.equal(
      unknown.message,
      "cannot listen on nowhere.invalid:80: the host name is unknown; choose another with --host",
    );
    const refused = ListenError.from(address, Object.assign(new Error("listen"), { code: "EACCES" }));
    assert.match(refused.message, /no permission .*; choose another with --port$/);
    assert.equal(ListenError.from(address, "odd").code, "UNKNOWN");
  });
});

describe("registering", () => {
  it("refuses the same method twice, and a service after listening", async (t) => {
    const { server } = await serve(t, [echo]);
    assert.throws(() => server.register({ name: "late.Service", methods: [echo] }), /before the server listens/);
    const { log } = recordingLog();
    const twice = createRpcServer({ log });
    twice.register({ name: "a.B", methods: [echo] });
    assert.throws(() => twice.register({ name: "a.B", methods: [echo] }), /\/a\.B\/Echo is registered twice/);
    await twice.close("over");
  });
});
