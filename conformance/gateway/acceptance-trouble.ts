import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { callStatus, requestsInFlight } from "../harness/raw-call.ts";
import { engineService, type Server } from "../harness/server.ts";
import { post, until } from "./gateway-client.ts";
import { type Gateway, models, startGateway, workersOf } from "./smg.ts";
import { model, type WorkerKind } from "./worker-kind.ts";

const chat = {
  model,
  messages: [{ role: "user", content: "What is the capital of France?" }],
  ...{ temperature: 0, max_tokens: 12, ignore_eos: true },
};
const healthCheck = `/${engineService}/HealthCheck`;
const unavailable = 14;

/** Points 1 and 4 to 6: what the gateway's clients notice of a worker that comes, dies, drains or is killed. */
export function describeTrouble(kind: WorkerKind): void {
  describe("a worker in trouble beside another one", () => defineTrouble(kind));
}

function defineTrouble(kind: WorkerKind): void {
  let one: Server;
  let other: Server;
  let gateway: Gateway;
  before(async () => {
    one = await kind.start(["--withdrawal-grace", "60"]);
    other = await kind.startOther();
    gateway = await startGateway([one.target, other.target]);
    await until("both workers are ready", async () => (await ready(gateway)).length === 2);
    await until("chat answers", async () => (await askChat(gateway)) === 200);
  });
  after(() => {
    gateway?.stop();
    one?.kill();
    other?.kill();
  });

  test("6. an engine that dies costs no client that has not begun to read", async () => {
    const engines = one.children();
    assert.ok(engines.length > 0);
    const asked = keepAsking(gateway);
    for (const pid of engines) process.kill(pid, "SIGKILL");
    await until("HealthCheck is UNAVAILABLE", async () => (await callStatus(one.target, healthCheck)) === unavailable);
    if (kind.restartsEngine) {
      await until("HealthCheck is OK again", async () => (await callStatus(one.target, healthCheck)) === 0);
    }
    assert.deepEqual(await asked.end(), []);
  });

  test("5. a worker that is killed and started again is used again, and no client notices", async () => {
    if (!kind.restartsEngine) one = await restarted(kind, one, ["--withdrawal-grace", "60"]);
    await until("both workers are ready", async () => (await ready(gateway)).length === 2);
    const asked = keepAsking(gateway);
    one.kill();
    await until("the gateway has noticed", async () => (await ready(gateway)).length === 1);
    one = await restarted(kind, one, ["--withdrawal-grace", "60"]);
    await until("both workers are ready", async () => (await ready(gateway)).length === 2);
    assert.deepEqual(await asked.end(), []);
  });

  test("4. a worker that drains says UNAVAILABLE, is left alone, and no client notices", async () => {
    const asked = keepAsking(gateway);
    one.signal("SIGTERM");
    await until("HealthCheck is UNAVAILABLE", async () => (await callStatus(one.target, healthCheck)) === unavailable);
    // It still serves for the withdrawal grace, and the gateway takes it out meanwhile.
    await until("the gateway has noticed", async () => (await ready(gateway)).length === 1);
    await until("nothing runs on it", async () => (await requestsInFlight(one.target)) === 0);
    one.signal("SIGTERM");
    assert.equal(await one.exited(), 0);
    assert.deepEqual(await asked.end(), []);
  });

  test("1. a worker that comes up after the gateway is found", async () => {
    one.kill();
    other.kill();
    const late = await startGateway([one.target, other.target], { until: "listens" });
    try {
      assert.deepEqual(await models(late.url), []);
      other = await kind.startOther(["--port", String(other.port)]);
      await until("the model is listed", async () => (await models(late.url)).includes(model));
      await until("chat answers", async () => (await askChat(late)) === 200);
    } finally {
      late.stop();
    }
  });
}

function restarted(kind: WorkerKind, server: Server, flags: readonly string[]): Promise<Server> {
  server.kill();
  return kind.start([...flags, "--port", String(server.port)]);
}

async function askChat(gateway: Gateway): Promise<number> {
  const answer = await post(`${gateway.url}/v1/chat/completions`, chat);
  await answer.arrayBuffer();
  return answer.status;
}

/** Chats all the time, four at once, until it is ended; then answers what was not 200. */
function keepAsking(gateway: Gateway): { end(): Promise<string[]> } {
  const wrong: string[] = [];
  let goesOn = true;
  const asking = Array.from({ length: 4 }, async () => {
    while (goesOn) {
      const answer = await post(`${gateway.url}/v1/chat/completions`, chat);
      const said = await answer.text();
      if (answer.status !== 200) wrong.push(`${answer.status} ${said}`);
    }
  });
  return {
    async end() {
      goesOn = false;
      await Promise.all(asking);
      return wrong;
    },
  };
}

async function ready(gateway: Gateway): Promise<readonly string[]> {
  return (await workersOf(gateway.url)).filter(({ status }) => status === "ready").map(({ url }) => url);
}
