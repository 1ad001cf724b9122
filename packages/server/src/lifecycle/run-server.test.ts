import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { ManualClock } from "../operations/testing/manual-clock.ts";
import type { RpcServer } from "../rpc/server.ts";
import { type Service, serverStreaming, unary } from "../rpc/service.ts";
import { ListenError } from "../transport/tokenwire-grpc/listen-error.ts";
import { createRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";
import { type LogLine, readAll, recordingLog, TextClient, text } from "../transport/tokenwire-grpc/testing/rig.ts";
import { exitCode } from "./exit-code.ts";
import { type RunningServer, type RunServerOptions, runServer } from "./run-server.ts";
import { StubEngine } from "./testing/stub-engine.ts";

const withdrawalGraceMs = 5_000;
const drainTimeoutMs = 30_000;
const deadExitGraceMs = 4_000;
const engineCloseTimeoutMs = 9_000;

interface Rig {
  readonly running: RunningServer;
  readonly engine: StubEngine;
  readonly clock: ManualClock;
  readonly client: TextClient;
  readonly lines: LogLine[];
  /** What the lifecycle did, in order. */
  readonly steps: string[];
  /** Lets the stream of `Slow` end. */
  release(): void;
}

/** The real transport with each step of its shutdown noted. */
function noting(rpc: RpcServer, steps: string[]): RpcServer {
  return {
    register: (service) => rpc.register(service),
    listen: (address) => {
      steps.push("listen");
      return rpc.listen(address);
    },
    get activeCalls() {
      return rpc.activeCalls;
    },
    refuseNewCalls: (reason) => {
      steps.push("refuse");
      rpc.refuseNewCalls(reason);
    },
    idle: () => rpc.idle(),
    close: (reason) => {
      steps.push("close calls");
      return rpc.close(reason);
    },
  };
}

async function run(t: TestContext, changes: Partial<RunServerOptions> = {}): Promise<Rig> {
  const { log, lines } = recordingLog();
  const steps: string[] = [];
  const clock = new ManualClock();
  const engine = new StubEngine(() => steps.push("close engine"));
  const gate = Promise.withResolvers<void>();
  const service: Service = {
    name: "test.Text",
    methods: [
      unary<string, string>("Echo", text, text, async (request) => request),
      serverStreaming<string, string>("Slow", text, text, async (_request, call) => {
        call.write("first");
        await Promise.race([gate.promise, once(call.signal, "abort")]);
        if (call.signal.aborted) steps.push("abort");
        call.write("last");
      }),
    ],
  };
  const running = await runServer({
    rpc: noting(createRpcServer({ log }), steps),
    engine,
    health: {
      start: () => steps.push("start health"),
      withdraw: () => steps.push("withdraw"),
      stop: () => steps.push("stop health"),
    },
    services: [service],
    address: { host: "127.0.0.1", port: 0 },
    log,
    withdrawalGraceMs,
    drainTimeoutMs,
    deadExitGraceMs,
    engineCloseTimeoutMs,
    clock,
    ...changes,
  });
  const client = new TextClient(running.address.port);
  t.after(async () => {
    client.close();
    running.hurry();
    await running.done;
    assert.equal(engine.listeners, 0, "the engine is no longer watched");
    assert.equal(clock.pendingTimers, 0, "no timer is left");
  });
  return { running, engine, clock, client, lines, steps, release: () => gate.resolve() };
}

/** Opens the slow stream and waits until its handler runs. */
async function openSlow(client: TextClient) {
  const stream = client.stream("Slow", "");
  const [first] = await once(stream, "data");
  assert.equal(first, "first");
  return { rest: readAll(stream) };
}

describe("starting", () => {
  it("opens the port and starts health before the engine is ready", async (t) => {
    const { running, engine, client, steps } = await run(t);
    await engine.started;
    assert.deepEqual(steps, ["listen", "start health"]);
    assert.equal((await client.unary("Echo", "early")).message, "early");
    engine.load();
    await running.ready;
  });

  it("rejects with the transport's sentence when the address is taken, and starts nothing", async (t) => {
    const { running } = await run(t);
    const { log } = recordingLog();
    const engine = new StubEngine();
    const begun: string[] = [];
    const second = runServer({
      rpc: createRpcServer({ log }),
      engine,
      health: { start: () => begun.push("health"), withdraw: () => undefined, stop: () => undefined },
      services: [],
      address: running.address,
      log,
    });
    await assert.rejects(second, ListenError);
    assert.deepEqual([begun, engine.state.t], [[], "idle"]);
  });

  it("ends with exit code 1 and the engine's sentence, everything closed, when the engine cannot start", async (t) => {
    const { running, engine, client, steps, clock } = await run(t);
    engine.failToLoad("model.gguf is not a GGUF file");
    const end = await running.done;
    assert.deepEqual(end, {
      exitCode: exitCode.startFailed,
      reason: "the engine could not start: model.gguf is not a GGUF file",
    });
    await assert.rejects(running.ready, /before it was ready: the engine could not start: model\.gguf/);
    assert.deepEqual(steps.slice(2), ["withdraw", "refuse", "close calls", "stop health", "close engine"]);
    assert.equal((await client.failure("Echo", "")).code, status.UNAVAILABLE);
    assert.equal(clock.pendingTimers, 0);
  });

  it("can be stopped while the engine loads, without a withdrawal grace", async (t) => {
    const { running, clock } = await run(t);
    await running.shutdown("received SIGTERM");
    assert.equal((await running.done).exitCode, exitCode.ok);
    await assert.rejects(running.ready, /received SIGTERM/);
    assert.equal(clock.pendingTimers, 0);
  });

  it("closes the port again when health cannot start", async () => {
    const { log } = recordingLog();
    const rpc = createRpcServer({ log });
    const failing = runServer({
      rpc,
      engine: new StubEngine(),
      health: { start: () => assert.fail("no health"), withdraw: () => undefined, stop: () => undefined },
      services: [],
      address: { host: "127.0.0.1", port: 0 },
      log,
    });
    await assert.rejects(failing, /no health/);
    await assert.rejects(rpc.listen({ host: "127.0.0.1", port: 0 }), /after close/);
  });
});

describe("shutting down", () => {
  it("withdraws, serves on, refuses, drains, closes calls, then the engine, and exits 0", async (t) => {
    const { running, engine, client, clock, steps, release } = await run(t);
    engine.load();
    await running.ready;
    const slow = await openSlow(client);
    const ended = running.shutdown("received SIGTERM");
    await clock.armed(withdrawalGraceMs);
    assert.deepEqual(steps.slice(2), ["withdraw"]);
    assert.equal((await client.unary("Echo", "still served")).message, "still served");
    clock.advance(withdrawalGraceMs);
    await clock.armed(drainTimeoutMs);
    assert.deepEqual(steps.slice(2), ["withdraw", "refuse"]);
    const refused = await client.failure("Echo", "");
    assert.deepEqual(
      [refused.code, refused.details],
      [status.UNAVAILABLE, "the server is shutting down: received SIGTERM"],
    );
    release();
    assert.deepEqual(await slow.rest, { messages: ["last"], failure: undefined });
    await ended;
    assert.deepEqual(steps.slice(2), ["withdraw", "refuse", "close calls", "stop health", "close engine"]);
    assert.deepEqual(await running.done, { exitCode: exitCode.ok, reason: "received SIGTERM" });
  });

  it("ends what is left UNAVAILABLE with the reason when the drain timeout is over", async (t) => {
    const { running, engine, client, clock, steps } = await run(t);
    engine.load();
    await running.ready;
    const slow = await openSlow(client);
    void running.shutdown("received SIGTERM");
    await clock.armed(withdrawalGraceMs);
    clock.advance(withdrawalGraceMs);
    await clock.armed(drainTimeoutMs);
    clock.advance(drainTimeoutMs - 1);
    assert.equal(steps.includes("abort"), false);
    clock.advance(1);
    const { messages, failure } = await slow.rest;
    assert.deepEqual(messages, []);
    assert.deepEqual(
      [failure?.code, failure?.details],
      [status.UNAVAILABLE, "the server stopped before the call ended: received SIGTERM"],
    );
    await running.done;
    assert.deepEqual(steps.slice(2), ["withdraw", "refuse", "close calls", "abort", "stop health", "close engine"]);
  });

  it("skips to the end of the calls when hurried, in the withdrawal grace and in the drain", async (t) => {
    for (const waitingMs of [withdrawalGraceMs, drainTimeoutMs]) {
      const { running, engine, client, clock, steps } = await run(t);
      engine.load();
      await running.ready;
      const slow = await openSlow(client);
      void running.shutdown("received SIGTERM");
      await clock.armed(withdrawalGraceMs);
      if (waitingMs === drainTimeoutMs) {
        clock.advance(withdrawalGraceMs);
        await clock.armed(drainTimeoutMs);
      }
      running.hurry();
      assert.equal((await slow.rest).failure?.code, status.UNAVAILABLE);
      assert.equal((await running.done).exitCode, exitCode.ok);
      assert.deepEqual(steps.slice(2), ["withdraw", "refuse", "close calls", "abort", "stop health", "close engine"]);
    }
  });

  it("waits for nothing when grace and timeout are 0", async (t) => {
    const { running, engine, client } = await run(t, { withdrawalGraceMs: 0, drainTimeoutMs: 0 });
    engine.load();
    await running.ready;
    const slow = await openSlow(client);
    await running.shutdown("received SIGINT");
    assert.equal((await slow.rest).failure?.code, status.UNAVAILABLE);
  });

  it("happens once, however often it is asked for", async (t) => {
    const { running, engine, clock, steps } = await run(t);
    engine.load();
    await running.ready;
    const all = Promise.all([running.shutdown("one"), running.shutdown("two"), running.shutdown("three")]);
    await clock.armed(withdrawalGraceMs);
    clock.advance(withdrawalGraceMs);
    await all;
    await running.shutdown("four");
    running.hurry();
    assert.deepEqual(steps.slice(2), ["withdraw", "refuse", "close calls", "stop health", "close engine"]);
    assert.equal((await running.done).reason, "one");
  });

  it("goes on when health, or any step, fails, and logs each failure", async (t) => {
    const { log, lines } = recordingLog();
    const inner = createRpcServer({ log });
    const rpc: RpcServer = {
      ...noting(inner, []),
      refuseNewCalls: () => assert.fail("refuse fails"),
      idle: () => Promise.reject(new Error("idle fails")),
    };
    const { running, engine, clock } = await run(t, {
      rpc,
      log,
      health: {
        start: () => undefined,
        withdraw: () => assert.fail("withdraw fails"),
        stop: () => assert.fail("stop fails"),
      },
    });
    engine.closeResult = Promise.reject(new Error("close fails"));
    engine.closeResult.catch(() => undefined);
    engine.load();
    await running.ready;
    void running.shutdown("received SIGTERM");
    await clock.armed(withdrawalGraceMs);
    clock.advance(withdrawalGraceMs);
    assert.equal((await running.done).exitCode, exitCode.ok);
    assert.deepEqual(
      lines.flatMap((line) => line.err?.message ?? []),
      ["withdraw fails", "refuse fails", "idle fails", "stop fails", "close fails"],
    );
  });

  it("does not wait for ever for an engine that does not close", async (t) => {
    const { running, engine, clock, lines } = await run(t, { withdrawalGraceMs: 0 });
    engine.closeResult = new Promise(() => undefined);
    engine.load();
    await running.ready;
    void running.shutdown("received SIGTERM");
    await clock.armed(engineCloseTimeoutMs);
    clock.advance(engineCloseTimeoutMs);
    assert.equal((await running.done).exitCode, exitCode.ok);
    assert.ok(lines.some((line) => line.msg === "the engine did not close in time"));
  });
});

describe("an engine that dies", () => {
  it("for good ends the server with exit code 70 after the grace", async (t) => {
    const { running, engine, client, clock } = await run(t);
    engine.load();
    await running.ready;
    engine.become({ t: "dead", reason: "killed by SIGSEGV", restartInMs: undefined });
    await clock.armed(deadExitGraceMs);
    assert.equal((await client.unary("Echo", "says so until then")).message, "says so until then");
    clock.advance(deadExitGraceMs);
    assert.deepEqual(await running.done, {
      exitCode: exitCode.engineDied,
      reason: "the engine died: killed by SIGSEGV",
    });
    assert.equal(exitCode.engineDied, 70);
  });

  it("does not end the server when its supervisor restarts it, or when it comes back within the grace", async (t) => {
    const { running, engine, client, clock } = await run(t);
    engine.load();
    await running.ready;
    engine.become({ t: "dead", reason: "killed by SIGKILL", restartInMs: 1_000 });
    assert.equal(clock.pendingTimers, 0);
    engine.become({ t: "dead", reason: "gave up", restartInMs: undefined });
    await clock.armed(deadExitGraceMs);
    engine.become({ t: "starting", progress: 0 });
    assert.equal(clock.pendingTimers, 0);
    clock.advance(deadExitGraceMs);
    assert.equal((await client.unary("Echo", "here")).message, "here");
  });

  it("during a shutdown changes neither its course nor its exit code", async (t) => {
    const { running, engine, clock } = await run(t);
    engine.load();
    await running.ready;
    void running.shutdown("received SIGTERM");
    await clock.armed(withdrawalGraceMs);
    engine.become({ t: "dead", reason: "killed", restartInMs: undefined });
    clock.advance(withdrawalGraceMs);
    assert.deepEqual(await running.done, { exitCode: exitCode.ok, reason: "received SIGTERM" });
  });
});
