import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, it, type TestContext } from "node:test";
import type { Worker } from "node:worker_threads";
import { StatusTable } from "@tokenwire/health";
import { createLog } from "../../operations/log.ts";
import { ListenError } from "../../transport/tokenwire-grpc/listen-error.ts";
import { recordingLog } from "../../transport/tokenwire-grpc/testing/rig.ts";
import { type HealthThread, type HealthThreadOptions, startHealthThread } from "./health-thread.ts";
import type { HealthClass } from "./mirrored-health.ts";
import { HealthClient } from "./testing/health-client.ts";
import { Onlooker } from "./testing/onlooker.ts";

const engineName = "vllm.grpc.engine.VllmEngine";
const classes = new Map<string, HealthClass>([
  ["", "overall"],
  ["liveness", "liveness"],
  ["readiness", "readiness"],
  [engineName, "readiness"],
]);

interface Rig {
  readonly table: StatusTable;
  readonly thread: HealthThread;
  readonly client: HealthClient;
}

/** A table whose names are all SERVING, mirrored on a free port; all is closed when the test ends. */
async function started(t: TestContext, options: Partial<HealthThreadOptions> = {}): Promise<Rig> {
  const table = new StatusTable();
  for (const name of classes.keys()) table.set(name, "SERVING");
  const thread = await startHealthThread({
    host: "127.0.0.1",
    port: 0,
    table,
    classes,
    log: createLog("silent"),
    logLevel: "silent",
    ...options,
  });
  t.after(() => thread.close("the test is over"));
  const client = new HealthClient(thread.address.port);
  t.after(() => client.close());
  return { table, thread, client };
}

describe("the health port", () => {
  it("answers Check and List as the table does", async (t) => {
    const { client, table } = await started(t);
    assert.equal((await client.check("readiness")).status, "SERVING");
    assert.deepEqual(await client.list(), Object.fromEntries(table.list()));
    await assert.rejects(client.check("nobody"), { code: 5, details: "Unknown service: nobody" });
  });

  it("sends each change to a Watch, also of a name that is registered later", async (t) => {
    const { client, table } = await started(t);
    const [readiness, later] = [client.watch("readiness"), client.watch("later")];
    await readiness.until("SERVING");
    await later.until("SERVICE_UNKNOWN");
    table.set("readiness", "NOT_SERVING");
    await readiness.until("NOT_SERVING");
    table.set("later", "SERVING");
    await later.until("SERVING");
    table.clear("later");
    await later.until("SERVICE_UNKNOWN");
    assert.equal((await client.check("readiness")).status, "NOT_SERVING");
    assert.deepEqual(readiness.heard, ["SERVING", "NOT_SERVING"]);
    for (const stream of [readiness, later]) stream.cancel();
  });

  it("says why in the trailers of Check, also when only the reason changes", async (t) => {
    let reason = "engine-starting";
    const { client, table } = await started(t, {
      annotate: () => ({ "tokenwire-health-reason": reason, "tokenwire-health-detail": `It is ${reason}.` }),
    });
    table.set("", "NOT_SERVING");
    const watch = client.watch("");
    await watch.until("NOT_SERVING");
    const expected = { status: "NOT_SERVING", reason: "engine-starting", detail: "It is engine-starting." };
    assert.deepEqual(await client.check(""), expected);
    reason = "engine-dead";
    while ((await client.check("")).reason !== "engine-dead");
    watch.cancel();
  });

  it("tells watchers of the shutdown, and of the reason when it closes", async (t) => {
    const { client, table, thread } = await started(t);
    const watch = client.watch("liveness");
    await watch.until("SERVING");
    table.shutdown();
    const closed = thread.close("the server stopped");
    assert.deepEqual(await watch.ended, { code: 14, details: "the server stopped" });
    assert.deepEqual(watch.heard, ["SERVING", "NOT_SERVING"]);
    await closed;
    await assert.rejects(once(connect(thread.address), "connect"), { code: "ECONNREFUSED" });
  });

  it("is NOT_SERVING while the main thread stands still, by the class of the name, and comes back", async (t) => {
    const { thread } = await started(t, { mainStallMs: 300, hangTimeoutMs: 1_000 });
    const onlooker = new Onlooker(thread.address.port);
    t.after(() => onlooker.stop());
    await onlooker.until("SSS");
    onlooker.blockUntil("SSN");
    onlooker.blockUntil("NNN");
    await onlooker.until("SSS");
    const { sights, watched } = await onlooker.finish();
    const stalled = sights.find(({ letters }) => letters === "SSN");
    const hung = sights.find(({ letters }) => letters === "NNN");
    assert.equal(stalled?.reason, "main-loop-stalled");
    assert.match(stalled?.detail ?? "", /^The server's main loop stands still, at least for \d+ ms\.$/);
    assert.equal(hung?.reason, "main-loop-hung");
    assert.equal(sights.at(-1)?.reason, undefined);
    assert.deepEqual(watched.slice(0, 2), ["SERVING", "NOT_SERVING"]);
    assert.equal(watched.at(-1), "SERVING");
  });

  it("shows what changed just before the main thread stopped", async (t) => {
    // Beats so rare that only the wake-up call can carry the news.
    const { table, thread } = await started(t, {
      mainStallMs: 10_000_000,
      hangTimeoutMs: 20_000_000,
      beatMs: 2_000_000,
    });
    const onlooker = new Onlooker(thread.address.port);
    t.after(() => onlooker.stop());
    await onlooker.until("SSS");
    table.set("", "NOT_SERVING");
    onlooker.blockUntil("NSS");
    await onlooker.finish();
  });

  it("outlives its worker: a new one answers on the same port, and the log says so", async (t) => {
    const created = once(process, "worker") as Promise<[Worker]>;
    const { log, lines } = recordingLog();
    const { client, table, thread } = await started(t, { log });
    const port = thread.address.port;
    const watch = client.watch("readiness");
    await watch.until("SERVING");
    const again = once(process, "worker");
    await (await created)[0].terminate();
    assert.equal((await watch.ended).code, 14);
    table.set("readiness", "NOT_SERVING");
    await again;
    const { status } = await client.check("readiness");
    assert.deepEqual([status, thread.address.port], ["NOT_SERVING", port]);
    while (lines.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      lines.map(({ level, msg }) => [level, msg]),
      [
        ["error", "the health thread died"],
        ["info", "the health port answers again"],
      ],
    );
  });

  it("closes while its worker waits to be restarted", async (t) => {
    const created = once(process, "worker") as Promise<[Worker]>;
    const { thread } = await started(t);
    await (await created)[0].terminate();
    await thread.close("enough");
  });

  it("cannot be opened twice: the sentence names --health-port", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await once(taken, "listening");
    const bound = taken.address();
    assert.ok(bound !== null && typeof bound === "object");
    await assert.rejects(started(t, { port: bound.port }), (thrown) => {
      assert.ok(thrown instanceof ListenError);
      assert.equal(thrown.code, "EADDRINUSE");
      assert.match(thrown.message, /^cannot listen on 127\.0\.0\.1:\d+: the port is in use; .* --health-port$/);
      return true;
    });
  });

  it("refuses times that make no sense", async (t) => {
    await assert.rejects(started(t, { mainStallMs: 1 }), /^RangeError: mainStallMs: 1, expected 20 to /);
    await assert.rejects(started(t, { beatMs: 251 }), /^RangeError: beatMs: 251, expected 1 to 250/);
    await started(t, { hangTimeoutMs: 1_000 });
    await assert.rejects(started(t, { mainStallMs: 500, hangTimeoutMs: 500 }), /hangTimeoutMs: 500, expected 501 to /);
  });
});
