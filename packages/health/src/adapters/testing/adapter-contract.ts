import assert from "node:assert/strict";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { type TestContext, test } from "node:test";
import type { HealthServiceOptions } from "../../service.ts";
import { StatusTable } from "../../status-table.ts";
import type { HealthRegistration } from "../health-registration.ts";
import { HealthClient } from "./health-client.ts";

/** A server of some library that serves the table on a free port. */
export interface ServedHealth {
  readonly port: number;
  readonly registration: HealthRegistration;
  /** The library's own way to stop when its calls have ended; resolves when they have. */
  stopGracefully(): Promise<void>;
  /** Ends everything at once. */
  destroy(): void;
}

export type ServeHealth = (table: StatusTable, options?: HealthServiceOptions) => Promise<ServedHealth>;

/** Resolves when the condition holds, which it has to before the test runner's own time limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** Opens a Watch of the whole server as HTTP/2 has it. */
export function requestWatch(session: ClientHttp2Session): ClientHttp2Stream {
  const path = "/grpc.health.v1.Health/Watch";
  const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
  const stream = session.request(headers).on("error", () => {});
  stream.end(Buffer.alloc(5));
  return stream;
}

/** Recognises a failed call. Connect escapes more of the sentence than grpc-js's client takes back. */
function failure(code: number, details: RegExp): (error: { code: number; details: string }) => boolean {
  return (error) => error.code === code && details.test(decodeURIComponent(error.details));
}

export interface AdapterBounds {
  /** Most messages that a reader finds when it reads on, however much changed meanwhile. */
  readonly maxMessagesOfStalledReader: number;
}

/** What every adapter owes, asked by grpc-js's own client. */
export function testAdapter(serve: ServeHealth, { maxMessagesOfStalledReader }: AdapterBounds): void {
  const start = async (t: TestContext, table = new StatusTable(), options?: HealthServiceOptions) => {
    const served = await serve(table, options);
    const client = new HealthClient(served.port);
    t.after(() => {
      client.close();
      served.destroy();
    });
    return { table, client, served };
  };

  test("Check answers the status of a registered name, the empty one included", async (t) => {
    const { table, client } = await start(t);
    assert.equal((await client.check("")).status, "NOT_SERVING");
    table.set("a", "SERVING");
    assert.equal((await client.check("a")).status, "SERVING");
    table.set("a", "NOT_SERVING");
    assert.equal((await client.check("a")).status, "NOT_SERVING");
  });

  test("Check of a name that is not registered is NOT_FOUND with a sentence", async (t) => {
    const { client } = await start(t);
    await assert.rejects(client.check("nobody"), failure(5, /^Unknown service: nobody$/));
  });

  test("a name over 1024 bytes is INVALID_ARGUMENT", async (t) => {
    const { client } = await start(t);
    const request = Buffer.concat([Buffer.from("0a8108", "hex"), Buffer.alloc(1025, "x")]);
    await assert.rejects(client.checkBytes(request), failure(3, /1025 bytes, at most 1024/));
  });

  test("annotations of a Check are its trailing metadata", async (t) => {
    const { client } = await start(t, new StatusTable(), { annotate: () => ({ "x-reason": "starting up" }) });
    assert.deepEqual((await client.check("")).trailers.get("x-reason"), ["starting up"]);
  });

  test("what beforeCheck throws by status is the call's status, with its trailers", async (t) => {
    const refusal = Object.assign(new Error("ask later"), {
      name: "GrpcStatusError",
      code: 14,
      trailers: { "x-why": "busy" },
    });
    const { client } = await start(t, new StatusTable(), { beforeCheck: () => Promise.reject(refusal) });
    await assert.rejects(
      client.check(""),
      (error: { code: number; details: string; metadata: Map<string, unknown> }) => {
        assert.deepEqual([error.code, error.details, error.metadata.get("x-why")], [14, "ask later", ["busy"]]);
        return true;
      },
    );
  });

  test("what beforeCheck throws otherwise fails the call and nothing else", async (t) => {
    let broken = true;
    const { client } = await start(t, new StatusTable(), {
      beforeCheck: async () => {
        if (broken) throw new Error("no evidence");
      },
    });
    await assert.rejects(client.check(""), (error: { code: number }) => [2, 13].includes(error.code));
    broken = false;
    assert.equal((await client.check("")).status, "NOT_SERVING");
  });

  test("List answers every registered name, whatever it is, and refuses beyond its bound", async (t) => {
    const { table, client } = await start(t, new StatusTable(), { maxListedServices: 3 });
    table.set("a", "SERVING");
    table.set("__proto__", "SERVING");
    assert.deepEqual(Object.entries(Object.fromEntries(await client.list())).sort(), [
      ["", "NOT_SERVING"],
      ["__proto__", "SERVING"],
      ["a", "SERVING"],
    ]);
    table.set("b", "SERVING");
    await assert.rejects(client.list(), failure(8, /^4 services are registered/));
  });

  test("Watch sends the current status, then each change, and no status twice", async (t) => {
    const { table, client } = await start(t);
    table.set("a", "SERVING");
    const watch = client.watch("a");
    await watch.hears(1);
    table.set("a", "SERVING");
    table.set("a", "NOT_SERVING");
    await watch.hears(2);
    table.set("a", "NOT_SERVING");
    table.set("a", "SERVING");
    assert.deepEqual(await watch.hears(3), ["SERVING", "NOT_SERVING", "SERVING"]);
  });

  test("Watch of a name that is not registered says so, stays open and follows its registration", async (t) => {
    const { table, client } = await start(t);
    const watch = client.watch("later");
    await watch.hears(1);
    table.set("later", "SERVING");
    await watch.hears(2);
    table.clear("later");
    assert.deepEqual(await watch.hears(3), ["SERVICE_UNKNOWN", "SERVING", "SERVICE_UNKNOWN"]);
  });

  test("a Watch that its client cancels, and one whose deadline passes, free their slots", async (t) => {
    const { table, client } = await start(t);
    const cancelled = client.watch("");
    const late = client.watch("", { deadline: new Date(Date.now() + 300) });
    await Promise.all([cancelled.hears(1), late.hears(1)]);
    assert.equal(table.watcherCount, 2);
    cancelled.cancel();
    assert.equal((await late.ended).code, 4);
    await until(() => table.watcherCount === 0);
  });

  test("a Watch whose connection breaks frees its slot", async (t) => {
    const { table, served } = await start(t);
    const session = connect(`http://127.0.0.1:${served.port}`).on("error", () => {});
    requestWatch(session);
    await until(() => table.watcherCount === 1);
    session.destroy();
    await until(() => table.watcherCount === 0);
  });

  test("a reader that stalled finds few messages and the latest status last, also when the server has ended its Watches", async (t) => {
    for (const endsMeanwhile of [false, true]) {
      const { table, served } = await start(t);
      // A window of one message: what follows waits for the reader.
      const settings = { initialWindowSize: 7 };
      const session = connect(`http://127.0.0.1:${served.port}`, { settings }).on("error", () => {});
      const stream = requestWatch(session).pause();
      await until(() => table.watcherCount === 1);
      const changes = 2 * Math.ceil(0.6 * maxMessagesOfStalledReader + 100);
      for (let round = 0; round <= changes; round += 1) {
        table.set("", round % 2 === 0 ? "SERVING" : "NOT_SERVING");
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (endsMeanwhile) {
        table.shutdown();
        served.registration.endWatches();
      }
      const latest = endsMeanwhile ? 2 : 1;
      const statuses: number[] = [];
      let trailers: IncomingHttpHeaders | undefined;
      stream.on("data", (chunk: Buffer) => {
        for (let end = 6; end < chunk.length; end += 7) statuses.push(chunk[end] ?? -1);
      });
      stream.on("trailers", (received) => {
        trailers = received;
      });
      stream.resume();
      if (endsMeanwhile) await until(() => trailers !== undefined);
      else await until(() => statuses.length > 1 && statuses.at(-1) === latest && stream.readableLength === 0);
      assert.equal(statuses.at(-1), latest);
      assert.equal(trailers?.["grpc-status"], endsMeanwhile ? "14" : undefined);
      assert.ok(statuses.length <= maxMessagesOfStalledReader, `${statuses.length} messages`);
      assert.ok(statuses.every((status, index) => status !== statuses[index - 1]));
      session.destroy();
      await until(() => table.watcherCount === 0);
    }
  });

  test("a Watch beyond the table's bound is RESOURCE_EXHAUSTED", async (t) => {
    const { client } = await start(t, new StatusTable({ maxWatchers: 1 }));
    await client.watch("").hears(1);
    assert.equal((await client.watch("").ended).code, 8);
  });

  test("on shutdown every Watch hears NOT_SERVING and ends UNAVAILABLE, and the server's own shutdown completes", async (t) => {
    const { table, client, served } = await start(t);
    table.set("", "SERVING");
    const watches = [client.watch(""), client.watch(""), client.watch("nobody")];
    await Promise.all(watches.map((watch) => watch.hears(1)));
    table.shutdown();
    served.registration.endWatches();
    const ends = await Promise.all(watches.map((watch) => watch.ended));
    assert.deepEqual(
      ends.map(({ code, details }) => [code, details]),
      watches.map(() => [14, "The server is shutting down"]),
    );
    assert.deepEqual(
      watches.map(({ heard }) => heard),
      [["SERVING", "NOT_SERVING"], ["SERVING", "NOT_SERVING"], ["SERVICE_UNKNOWN"]],
    );
    assert.equal((await client.check("")).status, "NOT_SERVING");
    const late = client.watch("");
    assert.equal((await late.ended).code, 14);
    assert.deepEqual(late.heard, ["NOT_SERVING"]);
    assert.equal(table.watcherCount, 0);
    client.close();
    await served.stopGracefully();
  });
}
