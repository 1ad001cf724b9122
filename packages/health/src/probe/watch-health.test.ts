import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { suite, type TestContext, test } from "node:test";
import { createHealthService, type HealthMethod } from "../service.ts";
import type { ServingStatus } from "../serving-status.ts";
import { StatusTable } from "../status-table.ts";
import { framed } from "./client-session.ts";
import { type WatchHealthOptions, watchHealth } from "./watch-health.ts";

const grpcHeaders = { ":status": 200, "content-type": "application/grpc" };

interface Served {
  readonly address: { readonly host: string; readonly port: number };
  readonly sessions: ReadonlySet<ServerHttp2Session>;
}

async function listening(t: TestContext, onStream: (stream: ServerHttp2Stream) => void): Promise<Served> {
  const sessions = new Set<ServerHttp2Session>();
  const server: Http2Server = createServer();
  server.on("session", (session) => sessions.add(session.on("error", () => {})));
  server.on("stream", (stream) => onStream(stream.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address: { host: "127.0.0.1", port: (server.address() as AddressInfo).port }, sessions };
}

/** The table's own Watch on node:http2, the request taken for the whole server. */
function watching(t: TestContext, table: StatusTable): Promise<Served> {
  type Watch = Extract<HealthMethod, { kind: "server-streaming" }>;
  const watch = createHealthService(table).methods.find((method): method is Watch => method.name === "Watch");
  assert.ok(watch);
  return listening(t, (stream) => {
    const gone = new AbortController();
    stream.once("close", () => gone.abort());
    stream.respond(grpcHeaders);
    const call = {
      signal: gone.signal,
      write: (response: unknown) => stream.write(framed(watch.encodeResponse(response))),
      drained: () => once(stream, "drain").then(() => {}),
    };
    watch.handler({ service: "" }, call).catch(() => {});
  });
}

/** Statuses as they are heard, and a promise for each number of them. */
function hearing() {
  const heard: ServingStatus[] = [];
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  return {
    heard,
    onStatus: (status: ServingStatus): void => {
      heard.push(status);
      for (const { count, resolve } of waiting) if (heard.length >= count) resolve();
    },
    count: (count: number): Promise<void> =>
      heard.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

suite("watchHealth", () => {
  test("tells the current status and each change, until its signal fires", async (t) => {
    const table = new StatusTable();
    const { address } = await watching(t, table);
    const stopping = new AbortController();
    const { heard, onStatus, count } = hearing();
    const end = watchHealth({ ...address, onStatus, signal: stopping.signal });
    await count(1);
    table.set("", "SERVING");
    await count(2);
    table.shutdown();
    await count(3);
    stopping.abort();
    assert.deepEqual(await end, { t: "stopped" });
    assert.deepEqual(heard, ["NOT_SERVING", "SERVING", "NOT_SERVING"]);
    await until(() => table.watcherCount === 0);
  });

  test("a signal that has fired already connects to nobody", async () => {
    const options = { host: "127.0.0.1", port: 1, onStatus: () => {}, signal: AbortSignal.abort() };
    assert.deepEqual(await watchHealth(options), { t: "stopped" });
  });

  test("while onStatus is busy nothing else is told, and then what is newest comes last", async (t) => {
    const table = new StatusTable();
    const { address } = await watching(t, table);
    const stopping = new AbortController();
    const heard: ServingStatus[] = [];
    const busy = Promise.withResolvers<void>();
    let running = 0;
    const end = watchHealth({
      ...address,
      signal: stopping.signal,
      onStatus: async (status) => {
        running += 1;
        assert.equal(running, 1);
        heard.push(status);
        await busy.promise;
        running -= 1;
        if (status === "SERVING" && heard.length > 1) stopping.abort();
      },
    });
    await until(() => heard.length === 1);
    table.set("", "SERVING");
    busy.resolve();
    assert.deepEqual(await end, { t: "stopped" });
    assert.deepEqual(heard, ["NOT_SERVING", "SERVING"]);
  });

  test("what onStatus throws ends the Watch and rejects", async (t) => {
    const table = new StatusTable();
    const { address } = await watching(t, table);
    const failing = watchHealth({ ...address, onStatus: () => Promise.reject(new Error("full")) });
    await assert.rejects(failing, /full/);
    await until(() => table.watcherCount === 0);
  });

  test("it stays through a GOAWAY as long as the server keeps the call", async (t) => {
    const table = new StatusTable();
    const { address, sessions } = await watching(t, table);
    const { heard, onStatus, count } = hearing();
    const end = watchHealth({ ...address, onStatus });
    await count(1);
    for (const session of sessions) session.close();
    table.set("", "SERVING");
    await count(2);
    assert.deepEqual(heard, ["NOT_SERVING", "SERVING"]);
    for (const session of sessions) session.destroy();
    assert.notEqual((await end).t, "stopped");
  });

  const endings: readonly [string, (stream: ServerHttp2Stream) => void, unknown][] = [
    [
      "a server without the service is code 12",
      (stream) => stream.respond({ ...grpcHeaders, "grpc-status": "12", "grpc-message": "no" }, { endStream: true }),
      { t: "rpc-failed", code: 12, message: "no" },
    ],
    [
      "a Watch that ends OK is code 0",
      (stream) => {
        stream.respond(grpcHeaders, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(framed(Uint8Array.of(8, 1)));
      },
      { t: "rpc-failed", code: 0, message: "The server ended the Watch without an error" },
    ],
    [
      "a connection that breaks is lost",
      (stream) => {
        stream.respond(grpcHeaders);
        stream.write(framed(Uint8Array.of(8, 1)));
        setImmediate(() => stream.session?.socket.destroy());
      },
      { t: "connection-lost", message: "The connection closed before the answer was complete" },
    ],
    [
      "a server that says nothing is code 4",
      (stream) => stream.respond(grpcHeaders),
      { t: "rpc-failed", code: 4, message: "No status within 50 ms" },
    ],
    [
      "a message without bound is code 8",
      (stream) => {
        stream.respond(grpcHeaders);
        stream.write(Uint8Array.of(0, 0x7f, 0, 0, 0, 1));
      },
      { t: "rpc-failed", code: 8, message: "A message of 2130706437 bytes, at most 65536" },
    ],
    [
      "a message that is none is code 13",
      (stream) => {
        stream.respond(grpcHeaders);
        stream.write(framed(Uint8Array.of(8)));
      },
      { t: "rpc-failed", code: 13, message: "HealthCheckResponse: malformed at byte 1: it ends inside a number" },
    ],
  ];
  for (const [name, onStream, end] of endings) {
    test(name, async (t) => {
      const { address } = await listening(t, onStream);
      assert.deepEqual(await watchHealth({ ...address, onStatus: () => {}, rpcTimeoutMs: 50 }), end);
    });
  }

  test("nobody who listens is a failed connection", async () => {
    const options: WatchHealthOptions = { host: "127.0.0.1", port: 1, onStatus: () => {} };
    assert.equal((await watchHealth(options)).t, "connect-failed");
  });
});
