import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type RunningTokenwire, runTokenwire, startTokenwire } from "./testing/run-tokenwire.ts";

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tokenwire-"));
});

after(() => rm(folder, { recursive: true }));

async function script(name: string, content: object): Promise<string> {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(content));
  return path;
}

/** Starts a scripted server on a free port and answers it with its address, as soon as that is printed. */
async function started(
  words: readonly string[],
  until = "SERVING after",
): Promise<RunningTokenwire & { readonly address: string; out(): string; error(): string }> {
  const running = startTokenwire(["serve", "--engine", "mock", "--host", "127.0.0.1", "--port", "0", ...words]);
  let out = "";
  let error = "";
  running.child.stderr.on("data", (text: string) => {
    error += text;
  });
  running.child.stdout.on("data", (text: string) => {
    out += text;
  });
  await running.printed("out", "without TLS");
  await running.printed("out", until);
  const address = /listening on (\S+),/.exec(out)?.[1];
  assert.ok(address !== undefined, out);
  return { ...running, address, out: () => out, error: () => error };
}

test("a server tells what it serves, answers probe and generate, and ends with exit code 0", async () => {
  const running = await started(["--served-model-name", "m", "--withdrawal-grace", "0"], "Ctrl-C");
  const { address } = running;
  const probed = await runTokenwire(["probe", "--addr", address, "--service", "readiness"]);
  assert.deepEqual(probed, { exitCode: 0, out: "status: SERVING\n", error: "" });
  assert.equal(
    (await runTokenwire(["probe", "--addr", address, "--service", "vllm.grpc.engine.VllmEngine"])).exitCode,
    0,
  );
  const answered = await runTokenwire(["generate", "--addr", address, "hello"]);
  assert.deepEqual([answered.exitCode, answered.error], [0, ""]);
  assert.ok(answered.out.trim().length > 0);
  running.child.kill("SIGTERM");
  const { exitCode, out, error } = await running.finished;
  assert.equal(exitCode, 0);
  assert.match(
    out,
    /^tokenwire \S+ serves m \(mock, built-in script\)\nlistening on 127\.0\.0\.1:\d+, gRPC without TLS\n/,
  );
  assert.ok(out.includes(`npx tokenwire generate --addr ${address}`));
  for (const line of error.trim().split("\n")) assert.ok("msg" in JSON.parse(line), line);
});

test("the metrics port counts the calls of the main port", async () => {
  const running = await started(["--metrics-port", "0"]);
  await running.printed("error", "/metrics");
  assert.equal((await runTokenwire(["probe", "--addr", running.address])).exitCode, 0);
  const url = /metrics on (http:\S+\/metrics)/.exec(running.error())?.[1];
  const text = await (await fetch(url ?? "")).text();
  const check = 'grpc_type="unary",grpc_service="grpc.health.v1.Health",grpc_method="Check"';
  assert.ok(text.includes(`\ngrpc_server_handled_total{${check},grpc_code="OK"} 1\n`), text);
  assert.ok(text.includes(`\ngrpc_server_handling_seconds_count{${check}} 1\n`), text);
  running.child.kill("SIGTERM");
  assert.equal((await running.finished).exitCode, 0);
});

test("the port is open while the engine loads, and health says NOT_SERVING", async () => {
  const slow = await script("slow", { start: { delayMs: 3_600_000 } });
  const running = await started(["--mock-script", slow, "--log-level", "silent"], "listening on");
  assert.equal((await runTokenwire(["probe", "--addr", running.address])).exitCode, 4);
  running.child.kill("SIGTERM");
  const { exitCode, out, error } = await running.finished;
  assert.deepEqual([exitCode, error], [0, ""]);
  assert.doesNotMatch(out, /SERVING/);
});

test("an engine that cannot start ends the server with exit code 1 and a sentence", async () => {
  const broken = await script("broken", { start: { fail: "the model is broken" } });
  const { exitCode, error } = await runTokenwire([
    "serve",
    "--engine",
    "mock",
    "--port",
    "0",
    "--mock-script",
    broken,
    "--log-level",
    "silent",
  ]);
  assert.deepEqual([exitCode, error], [1, "error: the engine could not start: the model is broken\n"]);
});

test("the health port answers as the main port does, from the start to the end of the shutdown", async () => {
  const flags = ["--health-port", "0", "--withdrawal-grace", "3600", "--log-level", "info"];
  const running = await started(flags);
  const health = /health on (\S+)\n/.exec(running.out())?.[1];
  assert.ok(health !== undefined && health !== running.address);
  const probe = ["probe", "--addr", health, "--service", "readiness"];
  assert.deepEqual(await runTokenwire(probe), { exitCode: 0, out: "status: SERVING\n", error: "" });
  running.child.kill("SIGTERM");
  await running.printed("error", "shutting down");
  assert.equal((await runTokenwire(probe)).exitCode, 4);
  running.child.kill("SIGTERM");
  assert.equal((await running.finished).exitCode, 0);
  assert.equal((await runTokenwire(probe)).exitCode, 2);
});

test("a health port in use is one sentence that names its flag, and exit code 1", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const bound = taken.address();
  assert.ok(bound !== null && typeof bound === "object");
  const where = ["--host", "127.0.0.1", "--port", "0", "--health-port", String(bound.port)];
  const { exitCode, out, error } = await runTokenwire(["serve", "--engine", "mock", ...where]);
  taken.close();
  assert.deepEqual([exitCode, out], [1, ""]);
  assert.match(error, /^error: cannot listen on 127\.0\.0\.1:\d+: [^\n]+ --health-port\.\n$/);
});

test("a port in use is one sentence and exit code 1", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const bound = taken.address();
  assert.ok(bound !== null && typeof bound === "object");
  const { exitCode, out, error } = await runTokenwire([
    "serve",
    "--engine",
    "mock",
    "--host",
    "127.0.0.1",
    "--port",
    String(bound.port),
  ]);
  taken.close();
  assert.deepEqual([exitCode, out], [1, ""]);
  assert.match(error, /^error: cannot listen on 127\.0\.0\.1:\d+: [^\n]+\n$/);
});

test("a model file that is not there is one sentence and exit code 2", async () => {
  const { exitCode, out, error } = await runTokenwire(["serve", join(folder, "none.gguf")]);
  assert.deepEqual([exitCode, out], [2, ""]);
  assert.match(error, /^error: The model ".*none\.gguf" does not exist; [^\n]+\n$/);
});

test("a request in flight runs to its end after SIGTERM, and a second signal cuts it", async () => {
  const long = await script("long", { stepIntervalMs: 1, outputs: ["x".repeat(4000)] });
  for (const [limit, signals, code] of [
    ["100", 1, 0],
    ["4000", 2, 1],
  ] as const) {
    const running = await started(["--mock-script", long, "--withdrawal-grace", "0", "--log-level", "info"]);
    const asking = startTokenwire(["generate", "--addr", running.address, "--max-tokens", limit, "hi"]);
    await asking.printed("out", "x");
    running.child.kill("SIGTERM");
    if (signals === 2) {
      await running.printed("error", "shutting down");
      running.child.kill("SIGTERM");
    }
    assert.equal((await asking.finished).exitCode, code);
    assert.equal((await running.finished).exitCode, 0);
  }
});
