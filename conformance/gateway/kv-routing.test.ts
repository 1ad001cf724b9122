import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { run } from "../harness/processes.ts";
import { root, type Server, startServer } from "../harness/server.ts";
import { model } from "./acceptance.ts";
import { ask, post, until } from "./gateway-client.ts";
import { type RecordingProxy, startRecordingProxy } from "./recording-proxy.ts";
import { type Gateway, startGateway, workersOf } from "./smg.ts";

// The gateway spreads the first requests to a worker that came up; here only the cache may decide.
const flags = ["--worker-warmup-secs", "0", "--worker-warmup-divert-every", "0", "--worker-wedge-secs", "1"];
/** Events go out with the step that made them; the gateway needs a moment to read them. */
const toldMs = 300;
const tokenwire = join(root, "packages", "server", "bin", "tokenwire.mjs");
/** Long enough for several blocks of 16 tokens. */
const system =
  "You are the keeper of a lighthouse who answers in short sentences about ships, storms and the sea. ".repeat(4);

interface Worker {
  readonly server: Server;
  readonly proxy: RecordingProxy;
}

/** Two workers behind one gateway, each behind a proxy that knows what it was asked. */
class Fleet {
  readonly workers: readonly [Worker, Worker];
  readonly gateway: Gateway;

  private constructor(workers: readonly [Worker, Worker], gateway: Gateway) {
    this.workers = workers;
    this.gateway = gateway;
  }

  static async start(policy: "round_robin" | "cache_aware"): Promise<Fleet> {
    const workers = [await startWorker(), await startWorker()] as const;
    const targets = workers.map(({ proxy }) => proxy.target);
    const gateway = await startGateway(targets, { policy, flags });
    const fleet = new Fleet(workers, gateway);
    await until("both workers are ready", async () => {
      const ready = (await workersOf(gateway.url)).filter(({ status }) => status === "ready");
      return ready.length === 2;
    });
    return fleet;
  }

  /** How many requests each worker got since the last call. */
  takeCounts(): [number, number] {
    const [one, other] = this.workers;
    return [one.proxy.takePrompts().length, other.proxy.takePrompts().length];
  }

  async stop(): Promise<void> {
    this.gateway.stop();
    for (const { server, proxy } of this.workers) {
      await proxy.close();
      server.kill();
    }
  }
}

async function startWorker(): Promise<Worker> {
  const server = await startServer();
  return { server, proxy: await startRecordingProxy(server.target) };
}

function completion(prompt: string): object {
  return { model, prompt, temperature: 0, max_tokens: 8, ignore_eos: true };
}

describe("a gateway that routes by what workers hold", () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await Fleet.start("cache_aware");
  });
  after(() => fleet?.stop());

  test("sends 8 of 8 requests with a shared prefix to the worker whose events tell of it", async () => {
    const url = `${fleet.gateway.url}/v1/completions`;
    for (const [index, { server }] of fleet.workers.entries()) {
      // Asked without the gateway: only the worker's events can tell it who holds the prefix.
      const prefix = `${index} ${system}`;
      await run(process.execPath, [
        tokenwire,
        "generate",
        "--raw",
        "--max-tokens",
        "4",
        "--addr",
        server.target,
        prefix,
      ]);
      await sleep(toldMs);
      for (let i = 0; i < 8; i++) await ask(url, completion(`${prefix}Question ${i}: what do you see?`));
      assert.deepEqual(fleet.takeCounts(), index === 0 ? [8, 0] : [0, 8], fleet.gateway.log());
    }
  });

  test("keeps all requests from a worker whose engine hangs, once it is silent for --worker-wedge-secs", async () => {
    const url = `${fleet.gateway.url}/v1/completions`;
    const [hung] = fleet.workers;
    const [pid] = hung.server.children();
    assert.ok(pid !== undefined);
    process.kill(pid, "SIGSTOP");
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
      for (let i = 0; i < 20; i++) await ask(url, completion(`${i} storms`));
      assert.deepEqual(fleet.takeCounts(), [0, 20], fleet.gateway.log());
    } finally {
      process.kill(pid, "SIGCONT");
      giveUp.abort();
    }
    await Promise.all(caught);
    await until("the worker that goes on is used again", async () => {
      await Promise.all(Array.from({ length: 4 }, (_, i) => ask(url, completion(`${i} lighthouses`))));
      return fleet.takeCounts()[0] > 0;
    });
  });
});

describe("a gateway whose worker is replaced", () => {
  let server: Server;
  let gateway: Gateway;
  before(async () => {
    server = await startServer();
    gateway = await startGateway(server.target, { policy: "cache_aware", flags: [...flags, "--log-level", "info"] });
  });
  after(() => {
    gateway?.stop();
    server?.kill();
  });

  test("asks the new one for the number of the old and is given a snapshot, once", async () => {
    const url = `${gateway.url}/v1/completions`;
    await ask(url, completion(system));
    await until("the gateway has read events", () => gateway.log().includes("Learned block_size"));
    server.kill();
    server = await startServer(["--port", String(server.port)]);
    await until("the snapshot is applied", () => gateway.log().includes("snapshot applied"));
    await until("the gateway answers", async () => (await post(url, completion(system))).ok);
    await ask(url, completion(`${system}And then?`));
    const said = stripVTControlCharacters(gateway.log())
      .split("\n")
      .filter((line) => line.includes("KV event"))
      .join("\n");
    assert.ok(/start_seq=[1-9]/.test(said), said);
    assert.equal(said.match(/snapshot applied/g)?.length, 1, said);
    assert.ok(!/data.loss|gap/i.test(said), said);
  });
});
