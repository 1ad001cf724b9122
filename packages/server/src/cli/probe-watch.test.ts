import assert from "node:assert/strict";
import { test } from "node:test";
import { createHealthService, StatusTable } from "@tokenwire/health";
import { createLog } from "../operations/log.ts";
import type { RpcServer } from "../rpc/server.ts";
import { createRpcServer } from "../transport/tokenwire-grpc/rpc-server.ts";
import { runTokenwire, startTokenwire } from "./testing/run-tokenwire.ts";

async function serving(
  table: StatusTable,
  port = 0,
  close: (stop: () => Promise<void>) => void,
): Promise<{ server: RpcServer; address: string; port: number }> {
  const server = createRpcServer({ log: createLog("silent") });
  const annotate = (): Record<string, string> => ({
    "tokenwire-health-reason": "hung",
    "tokenwire-health-detail": "no progress for 12 s",
  });
  server.register(createHealthService(table, { annotate }));
  const bound = await server.listen({ host: "127.0.0.1", port });
  close(() => server.close("the test is over"));
  return { server, address: `127.0.0.1:${bound.port}`, port: bound.port };
}

const line = (status: string): RegExp => new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z ${status}$`);

function assertLines(out: string, statuses: readonly string[]): void {
  const lines = out.trimEnd().split("\n");
  assert.equal(lines.length, statuses.length, out);
  for (const [index, status] of statuses.entries()) assert.match(lines[index] ?? "", line(status));
}

test("--watch prints each change with its time, stays through NOT_SERVING, and a signal ends it with exit code 0", async (t) => {
  const table = new StatusTable();
  const { address } = await serving(table, 0, (stop) => t.after(stop));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    const watch = startTokenwire(["probe", "--watch", "--addr", address]);
    await watch.printed("out", "NOT_SERVING");
    table.set("", "SERVING");
    await watch.printed("out", " SERVING");
    table.set("", "NOT_SERVING");
    await watch.printed("out", "Z SERVING\n2");
    watch.child.kill(signal);
    const { exitCode, out, error } = await watch.finished;
    assert.deepEqual([exitCode, error], [0, ""]);
    assertLines(out, ["NOT_SERVING", "SERVING", "NOT_SERVING"]);
  }
});

test("--watch -v prints the reason that a Check gives", async (t) => {
  const { address } = await serving(new StatusTable(), 0, (stop) => t.after(stop));
  const watch = startTokenwire(["probe", "--watch", "-v", "--addr", address]);
  await watch.printed("out", "\n");
  watch.child.kill("SIGINT");
  const { exitCode, out } = await watch.finished;
  assert.equal(exitCode, 0);
  assertLines(out, ["NOT_SERVING \\(hung: no progress for 12 s\\)"]);
});

test("-v prints reason and times of a single probe", async (t) => {
  const { address } = await serving(new StatusTable(), 0, (stop) => t.after(stop));
  const { exitCode, error } = await runTokenwire(["probe", "-v", "--addr", address]);
  assert.equal(exitCode, 4);
  assert.match(
    error,
    /^service unhealthy .*\nreason: hung: no progress for 12 s\ntime elapsed: connect=\S+ms rpc=\S+ms\n$/,
  );
});

test("without --until a lost connection and nobody who listens are exit code 2, and an ended call is 3", async (t) => {
  const table = new StatusTable();
  const { server, address } = await serving(table, 0, (stop) => t.after(stop));
  const watch = startTokenwire(["probe", "--watch", "--addr", address]);
  await watch.printed("out", "NOT_SERVING");
  await server.close("closing");
  const ended = await watch.finished;
  assert.equal(ended.exitCode, 3);
  assert.match(ended.error, /^error: health rpc failed: code 14: closing\n$/);
  const refused = await runTokenwire(["probe", "--watch", "--addr", address]);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.error, /^error: failed to connect service at .*ECONNREFUSED/);
});

test("--until waits through a server that is not there yet, and for the status", async (t) => {
  const reserved = await serving(new StatusTable(), 0, () => undefined);
  await reserved.server.close("only its port was wanted");
  const words = ["probe", "--watch", "--until", "serving", "--timeout", "60s", "-v", "--addr", reserved.address];
  const watch = startTokenwire(words);
  await watch.printed("error", "ECONNREFUSED");
  const table = new StatusTable();
  await serving(table, reserved.port, (stop) => t.after(stop));
  await watch.printed("out", "NOT_SERVING");
  table.set("", "SERVING");
  const { exitCode, out } = await watch.finished;
  assert.equal(exitCode, 0);
  assert.match(out, /Z SERVING \(hung: no progress for 12 s\)\n$/);
});

test("--until that is not reached is exit code 4 and says what was waited for", async (t) => {
  const { address } = await serving(new StatusTable(), 0, (stop) => t.after(stop));
  const words = ["probe", "--watch", "--until", "serving", "--addr"];
  const late = await runTokenwire([...words, address, "--timeout", "300ms"]);
  assert.deepEqual([late.exitCode, late.error], [4, "timeout: not SERVING within 300 ms\n"]);
  const nobody = await runTokenwire([...words, "127.0.0.1:1", "--timeout", "300ms"]);
  assert.equal(nobody.exitCode, 4);
  assert.match(nobody.error, /^timeout: not SERVING within 300 ms; error: failed to connect .*ECONNREFUSED/);
});

test("--timeout without --until ends a watch with exit code 0", async (t) => {
  const { address } = await serving(new StatusTable(), 0, (stop) => t.after(stop));
  const { exitCode, error } = await runTokenwire(["probe", "--watch", "--timeout", "100ms", "--addr", address]);
  assert.deepEqual([exitCode, error], [0, ""]);
});

test("--until not-serving ends at once with a server that is", async (t) => {
  const { address } = await serving(new StatusTable(), 0, (stop) => t.after(stop));
  const { exitCode, out } = await runTokenwire(["probe", "--watch", "--until", "not-serving", "--addr", address]);
  assert.equal(exitCode, 0);
  assertLines(out, ["NOT_SERVING"]);
});

test("a server without health is exit code 3, also with --until", async (t) => {
  const server = createRpcServer({ log: createLog("silent") });
  const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
  t.after(() => server.close("the test is over"));
  const words = ["probe", "--watch", "--until", "serving", "--timeout", "60s", "--addr", `127.0.0.1:${port}`];
  const { exitCode, error } = await runTokenwire(words);
  assert.equal(exitCode, 3);
  assert.match(error, /does not implement the grpc health protocol/);
});
