import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { checkHealth } from "../harness/raw-call.ts";
import { engineService, type Server, startServer } from "../harness/server.ts";
import { HealthCheckedClient } from "./health-checked-client.ts";

/** Longer than the first back-offs of grpc-go, so that a client that opened its Watch anew would have done so twice. */
const watchedForMs = 5000;

describe("grpc-go's client-side health checking, with round_robin over two servers,", () => {
  let steady: Server;
  let troubled: Server;
  /** Clients that watch readiness, under either name; they and the one that watches the whole server. */
  let readinessClients: HealthCheckedClient[];
  let clients: HealthCheckedClient[];
  let whole: HealthCheckedClient;
  let lost: HealthCheckedClient;

  before(async () => {
    const flags = ["--stall-floor", "1", "--health-interval", "0.2", "--withdrawal-grace", "3"];
    [steady, troubled] = await Promise.all([startServer(), startServer(flags)]);
    const watching = (service: string) => new HealthCheckedClient(service, [steady.target, troubled.target]);
    readinessClients = [watching("readiness"), watching(engineService)];
    whole = watching("");
    clients = [...readinessClients, whole];
    lost = watching("no.such.Service");
  });
  after(() => {
    for (const client of [...(clients ?? []), lost]) client?.stop();
    for (const server of [steady, troubled]) server?.kill();
  });

  test("sends calls to both while both serve, whichever name it watches", async () => {
    for (const client of clients) await client.untilAnsweredBy([steady.target, troubled.target]);
    assertNoFailedCall(clients);
  });

  test("sends no call when it watches a name that nobody registered", async () => {
    const refusal = /health check failed\. status=SERVICE_UNKNOWN$/;
    await lost.until(() => lost.failedCalls().some(({ message = "" }) => refusal.test(message)), "SERVICE_UNKNOWN");
    assert.equal(lost.eventsOf("state").at(-1)?.state, "TRANSIENT_FAILURE", lost.report());
  });

  test("leaves a server whose engine is frozen to those who watch the whole server, and comes back", async () => {
    const [engine] = troubled.children();
    assert.ok(engine !== undefined);
    const frozen = clients.map(({ mark }) => mark);
    process.kill(engine, "SIGSTOP");
    try {
      for (const client of readinessClients) await client.untilAnsweredBy([steady.target], frozen.shift());
      await whole.untilAnsweredBy([steady.target, troubled.target], whole.mark);
    } finally {
      process.kill(engine, "SIGCONT");
    }
    for (const client of clients) await client.untilAnsweredBy([steady.target, troubled.target], client.mark);
    assertNoFailedCall(clients);
  });

  test("opens one Watch on each connection and keeps it, whatever its answers are", async () => {
    for (const client of [...clients, lost]) {
      await client.until(() => (client.events.at(-1)?.atMs ?? 0) >= watchedForMs, "the time to pass");
      const connections = client.eventsOf("connected").map(({ connection }) => connection);
      const watches = client.eventsOf("watch").map(({ connection }) => connection);
      assert.equal(connections.length, 2, client.report());
      assert.deepEqual(watches.sort(), connections.sort(), client.report());
      assert.deepEqual(client.eventsOf("disconnected"), [], client.report());
    }
    assert.ok(lost.eventsOf("call").every(({ address, code }) => address === undefined && code === "Unavailable"));
  });

  test("leaves a server on SIGTERM before its port closes, and no call fails", async () => {
    const signalled = clients.map(({ mark }) => mark);
    troubled.signal("SIGTERM");
    for (const client of clients) await client.untilAnsweredBy([steady.target], signalled.shift());
    const left = clients.map(({ mark }) => mark);
    assert.equal(await checkHealth(troubled.target, "readiness"), 2, "the port is open and says NOT_SERVING");
    for (const client of clients) assert.deepEqual(client.eventsOf("disconnected"), [], client.report());

    assert.equal(await troubled.exited(), 0);
    for (const client of clients) {
      await client.until(() => client.eventsOf("disconnected").length === 1, "the connection's end");
      await client.untilAnsweredBy([steady.target], client.mark);
      const since = client.eventsOf("call", left.shift());
      assert.ok(
        since.every(({ address }) => address === steady.target),
        client.report(),
      );
    }
    assertNoFailedCall(clients);
  });
});

function assertNoFailedCall(clients: readonly HealthCheckedClient[]): void {
  for (const client of clients) assert.deepEqual(client.failedCalls(), [], client.report());
}
