import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { callStatus } from "../harness/raw-call.ts";
import { engineService } from "../harness/server.ts";
import { askDirectly, Fleet, logOf, snapshotsIn, steeringFlags } from "./fleet.ts";
import { ask, post, until } from "./gateway-client.ts";
import { type Gateway, startGateway } from "./smg.ts";
import { model, type Worker, type WorkerKind } from "./worker-kind.ts";

/** Long enough for several blocks of 32 tokens. */
const system =
  "You are the keeper of a lighthouse who answers in short sentences about ships, storms and the sea. ".repeat(4);

/** Points 7 and 8: where a gateway that routes by caches and loads sends requests, by what the workers tell. */
export function describeSteering(kind: WorkerKind): void {
  describe("two workers of a gateway that routes by what they hold", () => defineRouting(kind));
}

function defineRouting(kind: WorkerKind): void {
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start(kind);
  });
  after(() => fleet?.stop());

  const askGateway = (prompt: string) => ask(`${fleet.gateway.url}/v1/completions`, completion(prompt));

  async function askEight(prefix: string): Promise<void> {
    for (let i = 0; i < 8; i++) await askGateway(`${prefix}Question ${i}: what do you see?`);
  }

  test("7. 8 of 8 requests with a shared prefix go to the worker whose events tell of it", async () => {
    const telling = kind.otherHasSameBlocks ? fleet.workers : [fleet.first];
    for (const [index, { server }] of telling.entries()) {
      for (const prefix of prefixes(`${index}`)) {
        await askDirectly(server, prefix);
        await askEight(prefix);
        assert.deepEqual(fleet.takeCounts(), index === 0 ? [8, 0] : [0, 8], logOf(fleet.gateway));
      }
    }
  });

  test("7. a gateway that is started anew sends them to the same worker", async () => {
    const { first, other } = fleet;
    // The gateway has one block size for all workers of a model, the one that it was told of first.
    assert.equal(await callStatus(other.server.target, `/${engineService}/FlushCache`), 0);
    const held = prefixes("anew");
    for (const prefix of held) await askDirectly(first.server, prefix);
    await fleet.replaceGateway();
    for (const prefix of held) {
      await askEight(prefix);
      assert.deepEqual(fleet.takeCounts(), [8, 0], logOf(fleet.gateway));
    }
  });

  test("8. a worker whose engine hangs gets nothing more, once it is silent for --worker-wedge-secs", async () => {
    const url = `${fleet.gateway.url}/v1/completions`;
    const engine = fleet.first.server.children();
    assert.ok(engine.length > 0);
    for (const pid of engine) process.kill(pid, "SIGSTOP");
    const giveUp = new AbortController();
    const caught: Promise<unknown>[] = [];
    try {
      // Silence is told of requests in flight, so the first one to reach the hung engine is what gives it away. Until
      // the bound has passed the gateway itself lets it compete by its load, which is why more may follow.
      await until("the gateway has found the silence", async () => {
        const prompt = `${caught.length} ships`;
        caught.push(post(url, completion(prompt), giveUp.signal).catch(() => undefined));
        await sleep(100);
        return fleet.gateway.log().includes("the engine reports no output for its in-flight requests");
      });
      assert.ok(fleet.takeCounts()[0] > 0);
      for (let i = 0; i < 20; i++) await askGateway(`${i} storms`);
      assert.deepEqual(fleet.takeCounts(), [0, 20], logOf(fleet.gateway));
    } finally {
      for (const pid of engine) process.kill(pid, "SIGCONT");
      giveUp.abort();
    }
    await Promise.all(caught);
    await until("the worker that goes on is used again", async () => {
      await Promise.all(Array.from({ length: 4 }, (_, i) => askGateway(`${i} lighthouses`)));
      return fleet.takeCounts()[0] > 0;
    });
  });

  // The last one: the proxy in front of the worker goes with it.
  test("7. a gateway whose worker is replaced gives the new one the number of the old, and gets a snapshot, once", async () => {
    fleet.gateway.stop();
    let server: Worker = fleet.first.server;
    const gateway: Gateway = await startGateway(server.target, { policy: "cache_aware", flags: steeringFlags });
    try {
      const url = `${gateway.url}/v1/completions`;
      await ask(url, completion(`replaced ${system}`));
      await until("the gateway has read events", () => gateway.log().includes("Learned block_size"));
      const asked = snapshotsIn(gateway).length;
      server = await server.replaced();
      await until("the snapshot is applied", () => snapshotsIn(gateway).length > asked);
      await until("the gateway answers", async () => (await post(url, completion(system))).ok);
      await ask(url, completion(`${system}And then?`));
      const said = logOf(gateway);
      assert.ok(/start_seq=[1-9]/.test(said), said);
      assert.equal(snapshotsIn(gateway).length, asked + 1, said);
      assert.ok(!/data.loss|gap/i.test(said), said);
    } finally {
      gateway.stop();
      server.kill();
    }
  });
}

/** Several with nothing in common: a gateway that picks by chance, and then stays, could be right about one. */
function prefixes(name: string): readonly string[] {
  return [0, 1, 2, 3].map((each) => `${name} ${each} ${system}`);
}

function completion(prompt: string): object {
  return { model, prompt, temperature: 0, max_tokens: 8, ignore_eos: true };
}
