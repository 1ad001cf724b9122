import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "../harness/processes.ts";
import { engineService, type Server, startServer } from "../harness/server.ts";
import { grpcio, program } from "../harness/tools.ts";

interface Collected {
  readonly tokens: number[][];
  readonly completes: {
    outputIds: number[];
    finishReason: string;
    promptTokens: number;
    completionTokens: number;
    index: number;
  }[];
  readonly chunksAreDeltas: boolean;
  readonly status: string;
  readonly details: string;
}

/** Runs one scenario of client.py against the server and answers its report. */
async function scenario<Report>(name: string, server: Server, ...flags: string[]): Promise<Report> {
  const protos = join(grpcio.folder, "protos");
  const args = [join(import.meta.dirname, "client.py"), name, "--target", server.target, "--protos", protos, ...flags];
  const { code, stdout, stderr } = await run(program(grpcio, "python"), args, { limitMs: 180_000 });
  assert.equal(code, 0, `client.py ${name}: ${stderr}\nserver:\n${server.log()}`);
  return JSON.parse(stdout);
}

// Far below the time that the work itself would take (see LONG in client.py), and far above what a busy machine adds.
const idleLimitMs = 3000;
function assertIdle(idleAfterMs: number | null): void {
  assert.ok(idleAfterMs !== null && idleAfterMs < idleLimitMs, `slots are free after ${idleAfterMs} ms`);
}

describe("a grpcio client", () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.kill());

  test("gets one Complete with everything when the request does not stream", async () => {
    const { status, tokens, completes } = await scenario<Collected>("unary", server);
    assert.equal(status, "OK");
    assert.deepEqual(tokens, []);
    assert.equal(completes.length, 1);
    const [complete] = completes;
    assert.equal(complete?.outputIds.length, 16);
    assert.equal(complete?.completionTokens, 16);
    assert.equal(complete?.finishReason, "length");
    assert.ok((complete?.promptTokens ?? 0) > 0);
  });

  test("gets the same greedy tokens in a stream of deltas", async () => {
    const { streamed, whole } = await scenario<{ streamed: Collected; whole: Collected }>("stream", server);
    assert.equal(streamed.status, "OK");
    assert.ok(streamed.chunksAreDeltas);
    assert.deepEqual(streamed.tokens[0], whole.completes[0]?.outputIds);
    assert.equal(streamed.completes[0]?.finishReason, "length");
    assert.equal(streamed.completes[0]?.promptTokens, whole.completes[0]?.promptTokens);
  });

  test("gets two different sampled outputs, and the same two again with the same seed", async () => {
    const { first, again } = await scenario<{ first: Collected; again: Collected }>("several_outputs", server);
    assert.equal(first.status, "OK");
    assert.deepEqual(
      first.completes.map(({ index }) => index),
      [0, 1],
    );
    assert.deepEqual(
      first.tokens.map((ids) => ids.length),
      [16, 16],
    );
    assert.notDeepEqual(first.tokens[0], first.tokens[1]);
    assert.deepEqual(again.tokens, first.tokens);
  });

  test("gets logprobs of the output and of the prompt", async () => {
    const report = await scenario<{
      outputIds: number[];
      promptTokens: number;
      tokenIds: number[];
      tokenLogprobs: number[];
      top: { ids: number[]; values: number[] }[];
      promptIds: number[];
      promptLogprobs: (number | null)[];
    }>("logprobs", server);
    assert.equal(report.outputIds.length, 4);
    assert.deepEqual(report.tokenIds, report.outputIds);
    for (const [position, { ids, values }] of report.top.entries()) {
      assert.equal(ids.length, 2);
      // The output is greedy, so the sampled token is the likeliest.
      assert.equal(ids[0], report.outputIds[position]);
      assert.equal(values[0], report.tokenLogprobs[position]);
      assert.ok((values[0] ?? 1) <= 0 && (values[1] ?? 1) <= (values[0] ?? 0));
    }
    assert.equal(report.top.length, 4);
    assert.equal(report.promptIds.length, report.promptTokens);
    assert.equal(report.promptLogprobs[0], null, "nothing predicts the first token");
    assert.ok(report.promptLogprobs.slice(1).every((value) => value !== null && value <= 0));
  });

  test("frees the slot when it cancels in the middle of a stream", async () => {
    const report = await scenario<{ read: number; runningBefore: number; idleAfterMs: number | null }>(
      "cancel",
      server,
    );
    assert.equal(report.read, 3);
    assert.ok(report.runningBefore > 0);
    assertIdle(report.idleAfterMs);
  });

  test("ends a stream with finish reason abort when it aborts the request by its id", async () => {
    const report = await scenario<Collected & { idleAfterMs: number | null }>("abort", server);
    assert.equal(report.status, "OK");
    const reasons = report.completes.map(({ finishReason }) => finishReason);
    assert.deepEqual(reasons, Array(32).fill("abort"));
    assertIdle(report.idleAfterMs);
  });

  test("gets DEADLINE_EXCEEDED and frees the slots when its deadline passes", async () => {
    const report = await scenario<{ status: string; idleAfterMs: number | null }>("deadline", server);
    assert.equal(report.status, "DEADLINE_EXCEEDED");
    assertIdle(report.idleAfterMs);
  });

  test("completes 64 streams of 128 tokens at once", async () => {
    const report = await scenario<{ results: unknown[]; idleAfterMs: number | null }>("many", server);
    assert.deepEqual(report.results, Array(64).fill({ status: "OK", counts: [128] }));
    assertIdle(report.idleAfterMs);
  });

  test("builds its descriptors from reflection v1alpha, maps included", async () => {
    const report = await scenario<{ services: string[]; methods: string[]; logitBiasIsMap: boolean }>(
      "reflection",
      server,
    );
    assert.ok(report.services.includes(engineService) && report.services.includes("grpc.health.v1.Health"));
    assert.equal(report.methods.length, 12);
    assert.equal(report.logitBiasIsMap, true);
  });

  test("leaves a server behind that stops with exit code 0 and no process", () => server.stop());
});

describe("a grpcio watcher", () => {
  let server: Server;
  before(async () => {
    server = await startServer(["--withdrawal-grace", "1"]);
  });
  after(() => server?.kill());

  test("hears SERVING once, then NOT_SERVING on SIGTERM, before the server ends its stream", async () => {
    type ByName<Value> = { engine: Value; overall: Value; unknown: Value };
    const report = await scenario<{
      before: ByName<string[]>;
      openBefore: boolean;
      heard: ByName<string[]>;
      ends: ByName<string>;
    }>("watch_shutdown", server, "--server-pid", String(server.pid));
    assert.deepEqual(report.before, { engine: ["SERVING"], overall: ["SERVING"], unknown: ["SERVICE_UNKNOWN"] });
    assert.equal(report.openBefore, true);
    assert.deepEqual(report.heard.engine, ["SERVING", "NOT_SERVING"]);
    assert.deepEqual(report.heard.overall, ["SERVING", "NOT_SERVING"]);
    assert.deepEqual(report.heard.unknown, ["SERVICE_UNKNOWN"]);
    assert.equal(await server.exited(), 0);
  });
});

describe("a grpcio client of an engine that is killed", () => {
  let server: Server;
  before(async () => {
    server = await startServer();
  });
  after(() => server?.kill());

  test("gets UNAVAILABLE on every stream, and answers again without anybody's help", async () => {
    const engines = server.children();
    assert.equal(engines.length, 1, "the engine is the server's only child process");
    const report = await scenario<{ ends: string[]; details: string; heard: string[]; after: Collected }>(
      "kill_engine",
      server,
      "--engine-pid",
      String(engines[0]),
    );
    assert.deepEqual(report.ends, Array(16).fill("UNAVAILABLE"));
    assert.notEqual(report.details, "");
    assert.deepEqual(report.heard, ["SERVING", "NOT_SERVING", "SERVING"]);
    assert.equal(report.after.status, "OK");
    assert.equal(report.after.completes[0]?.finishReason, "length");
    await server.stop();
  });
});
