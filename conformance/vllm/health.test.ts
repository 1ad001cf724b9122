import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { engineService } from "../harness/server.ts";
import { readReferences } from "./demo-text.ts";
import { EngineClient, type Generated, type GenerateStream } from "./engine-client.ts";
import { HealthWatch } from "./health-watch.ts";
import { type EngineHome, gone, makeEngineHome, startVllmServer, stateOf, type VllmServer } from "./vllm-server.ts";

// The stall floor is the default; a hang comes sooner than the default of two minutes, so that it can be waited for.
const flags = ["--hang-timeout", "20", "--canary-interval", "0"];
const limitMs = 180_000;
const promptIds = readReferences()[0]?.promptIds ?? [];
const endless = { temperature: 1, maxTokens: 1900, ignoreEos: true };

interface Stage {
  readonly home: EngineHome;
  readonly server: VllmServer;
  readonly client: EngineClient;
  readonly readiness: HealthWatch;
  readonly liveness: HealthWatch;
  readonly overall: HealthWatch;
  readonly engine: HealthWatch;
  readonly pids: { readonly engineCore: number; readonly worker: number };
  strike(): Promise<void>;
}

async function setStage(more: readonly string[] = []): Promise<Stage> {
  const home = makeEngineHome();
  try {
    const server = await startVllmServer(home, [...flags, ...more]);
    const { target } = server;
    const client = new EngineClient(target);
    const watch = (name: string): HealthWatch => new HealthWatch(target, name);
    const watches = {
      readiness: watch("readiness"),
      liveness: watch("liveness"),
      overall: watch(""),
      engine: watch(engineService),
    };
    await Promise.all(Object.values(watches).map((each) => each.until("SERVING", limitMs)));
    const pids = home.processes();
    assert.ok(pids !== undefined && pids.engineCore > 0 && pids.worker > 0);
    const strike = async (): Promise<void> => {
      for (const each of Object.values(watches)) each.close();
      client.close();
      server.kill();
      home.remove();
      await gone(pids.engineCore);
    };
    return { home, server, client, ...watches, pids, strike };
  } catch (thrown) {
    home.remove();
    throw thrown;
  }
}

function seconds(fromMs: number, toMs: number): string {
  return `${((toMs - fromMs) / 1000).toFixed(2)} s`;
}

async function startStreams({ client }: Stage, count: number): Promise<readonly GenerateStream[]> {
  const streams = Array.from({ length: count }, () => client.start({ promptIds, sampling: endless }));
  await Promise.all(streams.map((stream) => stream.begun));
  return streams;
}

const tokensOf = ({ tokenIds }: Generated): number => tokenIds[0]?.length ?? 0;

describe("health over a real vLLM", () => {
  let stage: Stage;
  before(async () => {
    // The drain is long enough for a machine that does other things beside.
    stage = await setStage(["--withdrawal-grace", "2", "--drain-timeout", "180"]);
  });
  after(() => stage?.strike());

  test("stays alive through the first request with logprobs, which vLLM compiles for", async (t) => {
    const { client, liveness, overall, readiness } = stage;
    const fromMs = performance.now();
    const sampling = { temperature: 0, maxTokens: 2, logprobs: 5 };
    const { status } = await client.generate({ promptIds, sampling });
    t.diagnostic(`the request took ${seconds(fromMs, performance.now())}`);
    assert.equal(status, "OK");
    t.diagnostic(`readiness heard ${readiness.heard.map((each) => each.status).join(", ")}`);
    assert.deepEqual([liveness.heard.length, overall.heard.length], [1, 1]);
    await readiness.until("SERVING", limitMs);
  });

  /** Stops a process, waits for stalled and hung, lets it go on and waits for ready again. */
  async function freeze(t: TestContext, pid: number): Promise<void> {
    const { readiness, liveness, overall, engine } = stage;
    process.kill(pid, "SIGSTOP");
    const fromMs = performance.now();
    try {
      const unreadyMs = await readiness.until("NOT_SERVING", limitMs);
      t.diagnostic(`readiness NOT_SERVING after ${seconds(fromMs, unreadyMs)}`);
      await engine.until("NOT_SERVING", limitMs);
      assert.deepEqual([liveness.last, overall.last], ["SERVING", "SERVING"], "a stall is no reason to restart");
      const hungMs = await liveness.until("NOT_SERVING", limitMs);
      t.diagnostic(`liveness NOT_SERVING after ${seconds(fromMs, hungMs)} (--hang-timeout 20)`);
      await overall.until("NOT_SERVING", limitMs);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    const onMs = performance.now();
    const readyMs = await readiness.until("SERVING", limitMs);
    t.diagnostic(`SERVING again ${seconds(onMs, readyMs)} after SIGCONT`);
    await Promise.all([liveness, overall, engine].map((each) => each.until("SERVING", limitMs)));
  }

  test("notices SIGSTOP of the engine core with a stream in flight, which ends whole after SIGCONT", async (t) => {
    const [stream] = await startStreams(stage, 1);
    await freeze(t, stage.pids.engineCore);
    const end = await stream?.end;
    assert.deepEqual([end?.status, end === undefined ? 0 : tokensOf(end)], ["OK", 1900]);
  });

  test("notices SIGSTOP of the idle engine core", (t) => freeze(t, stage.pids.engineCore));

  test("notices SIGSTOP of the worker while the engine is idle", (t) => freeze(t, stage.pids.worker));

  test("loses none of 8 streams to SIGTERM, and says NOT_SERVING while it still serves", async (t) => {
    const { client, server, engine, readiness, liveness, home } = stage;
    const processes = home.processes();
    const streams = await startStreams(stage, 8);
    const fromMs = performance.now();
    server.signal("SIGTERM");
    const heardMs = await engine.until("NOT_SERVING", limitMs);
    t.diagnostic(`NOT_SERVING after ${seconds(fromMs, heardMs)}`);
    await readiness.until("NOT_SERVING", limitMs);
    assert.equal(liveness.last, "SERVING");
    const late = await client.generate({ promptIds, sampling: { temperature: 0, maxTokens: 2 } });
    assert.equal(late.status, "OK", "balancers need a moment, and nobody is refused meanwhile");
    const ends = await Promise.all(streams.map((stream) => stream.end));
    const lost = ends.filter((end) => end.status !== "OK" || tokensOf(end) !== 1900);
    t.diagnostic(`${lost.length} of 8 streams lost; the last ended after ${seconds(fromMs, performance.now())}`);
    assert.deepEqual(
      lost.map((end) => `${end.status} after ${tokensOf(end)} tokens: ${end.details}`),
      [],
    );
    assert.equal(await server.exited(limitMs), 0);
    for (const pid of Object.values(processes ?? {})) assert.equal(stateOf(pid), undefined);
  });
});

for (const victim of ["engineCore", "worker"] as const) {
  describe(`SIGKILL of vLLM's ${victim}`, () => {
    let stage: Stage;
    before(async () => {
      stage = await setStage();
    });
    after(() => stage?.strike());

    test("ends 8 streams UNAVAILABLE, is pushed to watchers, and ends the server with code 70", async (t) => {
      const { server, engine, readiness, overall, liveness, pids } = stage;
      const streams = await startStreams(stage, 8);
      const ends = streams.map(async (stream) => ({ ...(await stream.end), atMs: performance.now() }));
      const fromMs = performance.now();
      process.kill(pids[victim], "SIGKILL");
      const heardMs = await engine.until("NOT_SERVING", limitMs);
      t.diagnostic(`NOT_SERVING after ${seconds(fromMs, heardMs)}`);
      const ended = await Promise.all(ends);
      t.diagnostic(`the streams ended after ${seconds(fromMs, Math.max(...ended.map(({ atMs }) => atMs)))}`);
      assert.deepEqual(new Set(ended.map(({ status }) => status)), new Set(["UNAVAILABLE"]));
      t.diagnostic(ended[0]?.details ?? "");
      await Promise.all([readiness, overall, liveness].map((each) => each.until("NOT_SERVING", limitMs)));
      assert.equal(await server.exited(), 70);
      t.diagnostic(`the process ended after ${seconds(fromMs, performance.now())}`);
      // Nothing is left that would hold the memory of a model.
      for (const pid of Object.values(pids)) while (stateOf(pid) !== undefined) await sleep(20);
    });
  });
}
