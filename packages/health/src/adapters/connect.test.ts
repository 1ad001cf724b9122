import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  connectNodeAdapter,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { StatusTable } from "../status-table.ts";
import { addHealthService, type ConnectHealthOptions } from "./connect.ts";
import { createHealthDescriptor } from "./connect-descriptor.ts";
import type { HealthRegistration } from "./health-registration.ts";
import { type ServedHealth, testAdapter, until } from "./testing/adapter-contract.ts";
import { HealthClient } from "./testing/health-client.ts";
import { healthDescriptor } from "./testing/health-descriptor.ts";

const Health = healthDescriptor();

async function serve(
  table: StatusTable,
  options?: ConnectHealthOptions,
  adapter: { readonly shutdownSignal?: AbortSignal } = {},
): Promise<ServedHealth> {
  let registration: HealthRegistration | undefined;
  const handler = connectNodeAdapter({
    ...adapter,
    routes: (router) => {
      registration = addHealthService(router, table, options);
    },
  });
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer(handler).on("session", (session) => {
    sessions.add(session.on("error", () => {}));
    session.once("close", () => sessions.delete(session));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  assert.ok(registration);
  return {
    port: (server.address() as AddressInfo).port,
    registration,
    stopGracefully: async () => {
      const closed = once(server, "close");
      server.close();
      for (const session of sessions) session.close();
      await closed;
    },
    destroy: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

suite("a router of Connect", () => {
  // A response of Node takes 64 KiB of them before it asks the router to wait.
  testAdapter((table, options) => serve(table, options), { maxMessagesOfStalledReader: 65_536 / 7 + 4 });

  test("Connect's own client reads it in every protocol that Node can speak", async (t) => {
    const table = new StatusTable();
    table.set("a", "SERVING");
    const served = await serve(table);
    t.after(() => served.destroy());
    const baseUrl = `http://127.0.0.1:${served.port}`;
    for (const transport of [
      createGrpcTransport({ baseUrl }),
      createGrpcWebTransport({ baseUrl, httpVersion: "2" }),
      createConnectTransport({ baseUrl, httpVersion: "2" }),
      createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
    ]) {
      const client = createClient(Health, transport);
      assert.equal((await client.check({ service: "a" })).status, 1);
      assert.deepEqual(
        Object.entries((await client.list({})).statuses).map(([name, { status }]) => [name, status]),
        [
          ["", 2],
          ["a", 1],
        ],
      );
      const leaving = new AbortController();
      const watch = client.watch({ service: "later" }, { signal: leaving.signal })[Symbol.asyncIterator]();
      assert.equal((await watch.next()).value?.status, 3);
      leaving.abort();
      await until(() => table.watcherCount === 0);
      await assert.rejects(client.check({ service: "later" }), (error: unknown) => {
        assert.ok(error instanceof ConnectError);
        assert.deepEqual([error.code, error.rawMessage], [Code.NotFound, "Unknown service: later"]);
        return true;
      });
    }
  });

  test("the adapter's shutdownSignal ends a Watch with its reason", async (t) => {
    const table = new StatusTable();
    const shutdown = new AbortController();
    const served = await serve(table, {}, { shutdownSignal: shutdown.signal });
    const client = new HealthClient(served.port);
    t.after(() => {
      client.close();
      served.destroy();
    });
    const watch = client.watch("");
    await watch.hears(1);
    shutdown.abort(new ConnectError("closing", Code.Unavailable));
    const { code, details } = await watch.ended;
    assert.deepEqual([code, details], [14, "closing"]);
    assert.equal(table.watcherCount, 0);
  });

  test("a descriptor of one's own is registered instead of the built-in one", async () => {
    const registered: unknown[] = [];
    const router = { service: (descriptor: unknown) => registered.push(descriptor) };
    addHealthService(router, new StatusTable(), { descriptor: Health });
    assert.deepEqual(registered, [Health]);
  });

  test("the built-in descriptor is the one that protobuf-es makes from health.proto", () => {
    const own = createHealthDescriptor() as unknown as DescService;
    assert.deepEqual(described(own), described(Health));
    assert.deepEqual(described(own.file), described(Health.file));
  });
});

/** A descriptor as plain data: parents are left out because they point back, `proto` because it repeats the rest. */
function described(desc: unknown): unknown {
  if (Array.isArray(desc)) return desc.map(described);
  if (typeof desc !== "object" || desc === null) return typeof desc === "function" ? "a function" : desc;
  const members = Object.entries(desc).filter(([name, value]) => {
    return !["parent", "file", "proto"].includes(name) && value !== undefined;
  });
  const calls = "getDefaultValue" in desc && typeof desc.getDefaultValue === "function" ? [desc.getDefaultValue()] : [];
  return [String(desc), Object.fromEntries(members.sort().map(([name, value]) => [name, described(value)])), ...calls];
}
