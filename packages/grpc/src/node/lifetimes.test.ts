import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { readAll } from "../testing/grpc-js-client.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import { serve } from "../testing/rig.ts";
import { serverStreaming, unary } from "../testing/text-service.ts";

const echo = unary("Echo", (text) => text);
const never = Number.POSITIVE_INFINITY;

async function until(met: () => boolean): Promise<void> {
  while (!met()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a request that is never whole", () => {
  it("ends by the server's clock, and other calls of its connection go on", async (t) => {
    const clock = new ManualClock();
    const { server, listener } = await serve(t, [echo], { clock, limits: { keepaliveTimeMs: never } });
    const session = connect(`http://127.0.0.1:${listener.port}`);
    t.after(() => session.destroy());
    const open = () =>
      session.request({ ":method": "POST", ":path": "/test.Text/Echo", "content-type": "application/grpc" });
    const trickling = open();
    trickling.write(Buffer.from([0, 0, 0, 0, 9, 65]));
    await until(() => server.activeCalls === 1);
    clock.advance(110_000);
    assert.equal(server.activeCalls, 1);
    clock.advance(60_000);
    const [headers] = await once(trickling, "response");
    assert.equal(headers["grpc-status"], String(status.DEADLINE_EXCEEDED));
    trickling.resume();
    await until(() => server.activeCalls === 0);
    const whole = open();
    whole.end(Buffer.from([0, 0, 0, 0, 1, 65]));
    whole.resume();
    assert.equal((await once(whole, "trailers"))[0]["grpc-status"], "0");
  });
});

describe("a connection of a client of grpc-js", () => {
  it("that is old is left for a new one, its calls go on, and the grace ends them", { timeout: 60_000 }, async (t) => {
    const clock = new ManualClock();
    const more = Promise.withResolvers<void>();
    const hold = serverStreaming("Hold", async (_text, call) => {
      call.write("first");
      await more.promise;
      call.write("second");
      if (!call.signal.aborted) await once(call.signal, "abort");
    });
    const limits = { keepaliveTimeMs: never, maxConnectionAgeMs: 60_000, maxConnectionAgeGraceMs: 30_000 };
    const { client, server } = await serve(t, [echo, hold], { limits, clock });
    const stream = client.stream("Hold", "");
    await once(stream, "data");
    clock.advance(50_000);
    assert.equal((await client.unary("Echo", "young")).message, "young");
    assert.equal(server.connections, 1);

    clock.advance(17_000);
    // The client hears of it when it reads; a call before that still counts on the old connection.
    while (server.connections === 1) assert.equal((await client.unary("Echo", "old")).message, "old");
    more.resolve();
    assert.deepEqual(await once(stream, "data"), ["second"]);
    assert.equal(server.activeCalls, 1);

    const read = readAll(stream);
    clock.advance(31_000);
    assert.equal((await read).failure?.code, status.UNAVAILABLE);
    await until(() => server.connections === 1 && server.activeCalls === 0);
    assert.equal((await client.unary("Echo", "new")).message, "new");
  });

  it("that has no call is closed, and not while it has one", { timeout: 60_000 }, async (t) => {
    const clock = new ManualClock();
    const release = Promise.withResolvers<void>();
    const hold = serverStreaming("Hold", async (_text, call) => {
      call.write("first");
      await release.promise;
    });
    const limits = { keepaliveTimeMs: never, maxConnectionIdleMs: 5_000 };
    const { client, server } = await serve(t, [echo, hold], { limits, clock });
    const stream = client.stream("Hold", "");
    await once(stream, "data");
    clock.advance(100_000);
    assert.equal((await client.unary("Echo", "here")).message, "here");
    assert.equal(server.connections, 1);
    release.resolve();
    assert.equal((await readAll(stream)).failure, undefined);
    await server.idle();
    clock.advance(7_000);
    await until(() => server.connections === 0);
    assert.equal((await client.unary("Echo", "again")).message, "again");
  });
});
